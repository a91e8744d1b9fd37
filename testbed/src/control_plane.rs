//! A real control plane on loopback: etcd, kube-apiserver and the two controllers without which namespaces never finish
//! terminating and owner references are not collected.
//!
//! No kubelet and no scheduler: a Deployment is admitted and stored, and nothing runs it.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::sync::OnceCell;

use crate::process::{Guarded, ProcessError, Program, ScratchDir};

mod assets;
mod files;
mod kubectl;
mod launch;

pub use assets::Assets;

/// A ServiceAccount's token outlives any test run.
const TOKEN_SECONDS: i64 = 24 * 3600;

/// Why the control plane, or a question to it, failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// There are no programs to run.
    #[error("no control plane to run: {0}")]
    Assets(String),
    /// A file could not be made.
    #[error("{what}: {source}")]
    File {
        /// What was being made.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// One of the programs did not come up.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The API server, or the way to it, said no.
    #[error("{what}: {source}")]
    Api {
        /// What was being done.
        what: String,
        /// What was answered.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// `kubectl` said no.
    #[error("kubectl {command}: {message}")]
    Kubectl {
        /// Its arguments.
        command: String,
        /// What it wrote to standard error.
        message: String,
    },
}

impl ControlPlaneError {
    fn file(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }

    fn api<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: impl Into<String>) -> impl FnOnce(E) -> Self {
        let what = what.into();
        move |source| Self::Api { what, source: source.into() }
    }
}

/// How to start a [`ControlPlane`]; the default is right for tests.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Keep data, logs and kubeconfigs after the end, on disk.
    pub keep_files: bool,
    /// More arguments for kube-apiserver, such as `--feature-gates=…`.
    pub apiserver_args: Vec<String>,
}

/// A running control plane. Its processes end, and its files go, with it, and also when this process is killed.
#[derive(Debug)]
pub struct ControlPlane {
    // In the order in which they are ended: nobody outlives what it depends on.
    controller_manager: Option<Guarded>,
    apiserver: Guarded,
    apiserver_program: Program,
    etcd: Guarded,
    url: String,
    etcd_url: String,
    kubeconfig: PathBuf,
    assets: Assets,
    files: files::Files,
    _scratch: ScratchDir,
}

impl ControlPlane {
    /// Starts everything and waits until the API server is ready, some three seconds once the programs are built.
    ///
    /// # Errors
    /// With the end of the log of the program that did not come up.
    pub async fn start(options: Options) -> Result<Self, ControlPlaneError> {
        install_tls();
        let assets = Assets::find().await?;
        let scratch =
            ScratchDir::new(options.keep_files).map_err(ControlPlaneError::file("directory of the control plane"))?;
        let files = files::Files::write(scratch.path())?;
        let (etcd, etcd_url) = launch::etcd(&assets, &files).await?;
        let (apiserver_program, apiserver, url) =
            launch::apiserver(&assets, &files, &etcd_url, &options.apiserver_args).await?;
        let kubeconfig = files.kubeconfig("admin", &url, &files.admin_token, "default")?;
        let controller_manager = launch::controller_manager(&assets, &files, &url).await?;
        Ok(Self {
            controller_manager,
            apiserver,
            apiserver_program,
            etcd,
            url,
            etcd_url,
            kubeconfig,
            assets,
            files,
            _scratch: scratch,
        })
    }

    /// The one control plane of this process, started by the first caller; it ends with the process.
    ///
    /// Tests that share it keep to namespaces of their own.
    ///
    /// # Errors
    /// As [`ControlPlane::start`]; the next caller then tries again.
    pub async fn shared() -> Result<&'static Self, ControlPlaneError> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED.get_or_try_init(|| Self::start(Options::default())).await
    }

    /// Kills kube-apiserver.
    ///
    /// # Errors
    /// If it cannot be signalled.
    pub fn stop_apiserver(&mut self) -> Result<(), ControlPlaneError> {
        self.apiserver.kill()?;
        Ok(())
    }

    /// Starts kube-apiserver again at the same address.
    ///
    /// # Errors
    /// As [`ControlPlane::start`].
    pub async fn start_apiserver(&mut self) -> Result<(), ControlPlaneError> {
        self.apiserver = launch::started_again(&self.apiserver_program, &self.files, &self.url).await?;
        Ok(())
    }

    /// The API server's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// etcd's address for clients, plain http.
    pub fn etcd_url(&self) -> &str {
        &self.etcd_url
    }

    /// The certificates (PEM) that a client of the API server trusts.
    pub fn ca_file(&self) -> &Path {
        &self.files.ca
    }

    /// Whether namespaces finish terminating and owned objects are collected. Not so only where `KUBEBUILDER_ASSETS`
    /// is set, as that has no `kube-controller-manager` by convention, and the machine has none either.
    pub fn has_controllers(&self) -> bool {
        self.controller_manager.is_some()
    }

    /// The process ids of its programs.
    pub fn pids(&self) -> Vec<u32> {
        let manager = self.controller_manager.iter();
        [&self.etcd, &self.apiserver].into_iter().chain(manager).map(Guarded::pid).collect()
    }

    /// The directory of its data, logs and kubeconfigs.
    pub fn directory(&self) -> &Path {
        &self.files.directory
    }

    /// The kubeconfig of a user who may do everything.
    pub fn admin_kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// One JSON event (`audit.k8s.io/v1`) a line, one for each finished request and each started watch, with bodies;
    /// Secrets and tokens without.
    pub fn audit_log(&self) -> &Path {
        &self.files.audit_log
    }

    /// A new client of the user who may do everything, bound to the caller's runtime.
    ///
    /// # Errors
    /// [`ControlPlaneError::Api`] if the kubeconfig cannot be read.
    pub async fn admin_client(&self) -> Result<Client, ControlPlaneError> {
        client(&self.kubeconfig).await
    }

    /// A kubeconfig that acts as a ServiceAccount, and so may do what RBAC grants to it and nothing else.
    ///
    /// # Errors
    /// [`ControlPlaneError::Api`] if there is no such ServiceAccount.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str) -> Result<PathBuf, ControlPlaneError> {
        let what = format!("token for ServiceAccount {namespace}/{name}");
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin_client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .map_err(ControlPlaneError::api(what.clone()))?;
        let token = answer
            .status
            .map(|status| status.token)
            .ok_or_else(|| ControlPlaneError::Api { what, source: "the answer has no status".into() })?;
        self.files.kubeconfig(&format!("{namespace}.{name}"), &self.url, &token, namespace)
    }
}

/// A new client, bound to the caller's runtime, that acts as a kubeconfig says.
///
/// # Errors
/// [`ControlPlaneError::Api`] if the kubeconfig cannot be read.
pub async fn client(kubeconfig: &Path) -> Result<Client, ControlPlaneError> {
    install_tls();
    let what = || kubeconfig.display().to_string();
    let file = Kubeconfig::read_from(kubeconfig).map_err(ControlPlaneError::api(what()))?;
    let mut config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(ControlPlaneError::api(what()))?;
    config.connect_timeout = Some(Duration::from_secs(5));
    Client::try_from(config).map_err(ControlPlaneError::api(what()))
}

/// rustls wants its provider named once per process; a second call changes nothing.
fn install_tls() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
