//! The three programs: their arguments, and how to know that they are ready.

use std::future::Future;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};
use serde_json::Value;

use super::ControlPlaneError;
use super::assets::Assets;
use super::files::Files;
use crate::process::{Guarded, ProcessError, Program};

/// Generous: two cores may be busy with a compiler meanwhile.
const START_LIMIT: Duration = Duration::from_secs(90);
/// One question to a program that comes up.
const PROBE_LIMIT: Duration = Duration::from_secs(2);
/// A free port is only free until somebody else takes it.
const ATTEMPTS: u32 = 4;

/// etcd and its address for clients.
pub(super) async fn etcd(assets: &Assets, files: &Files) -> Result<(Guarded, String), ControlPlaneError> {
    retried(|| async {
        // What a clash left is not ours to go on with: the address of the peer is part of the data.
        let _ = std::fs::remove_dir_all(&files.etcd_data);
        let (url, peer_url) = (format!("http://{}", free_address()?), format!("http://{}", free_address()?));
        let name = format!("testbed-{:016x}", rand::random::<u64>());
        let mut etcd = Program::new("etcd", &assets.etcd, files.log("etcd"))
            .arg(format!("--name={name}"))
            .arg(option("--data-dir", &files.etcd_data))
            .arg(format!("--listen-client-urls={url}"))
            .arg(format!("--advertise-client-urls={url}"))
            .arg(format!("--listen-peer-urls={peer_url}"))
            .arg(format!("--initial-advertise-peer-urls={peer_url}"))
            .arg(format!("--initial-cluster={name}={peer_url}"))
            // The data need not survive a power cut.
            .arg("--unsafe-no-fsync")
            .arg("--log-level=warn")
            .start()?;
        let client = http(None)?;
        etcd.ready(START_LIMIT, || is_our_etcd(&client, &url, &name)).await?;
        Ok((etcd, url))
    })
    .await
}

/// Whether etcd answers, and is ours: after a clash of ports another control plane's would answer just as well.
async fn is_our_etcd(client: &Client, url: &str, name: &str) -> bool {
    let members = async {
        let question = client.post(format!("{url}/v3/cluster/member/list")).body("{}");
        question.send().await?.json::<Value>().await
    };
    members.await.is_ok_and(|answer| answer["members"][0]["name"] == name)
}

/// kube-apiserver and its address.
pub(super) async fn apiserver(
    assets: &Assets,
    files: &Files,
    etcd_url: &str,
    more: &[String],
) -> Result<(Program, Guarded, String), ControlPlaneError> {
    retried(|| async {
        let port = free_port()?;
        let url = format!("https://127.0.0.1:{port}");
        let program = Program::new("kube-apiserver", &assets.apiserver, files.log("kube-apiserver"))
            .arg(format!("--etcd-servers={etcd_url}"))
            .arg(format!("--secure-port={port}"))
            .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
            // The Service `kubernetes` would point at loopback, which the API refuses: nobody needs it here.
            .arg("--endpoint-reconciler-type=none")
            .arg("--service-cluster-ip-range=10.0.0.0/24")
            .arg(option("--cert-dir", &files.certificates))
            .arg("--authorization-mode=RBAC")
            .arg(option("--token-auth-file", &files.tokens))
            .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
            .arg(option("--service-account-key-file", &files.service_account_key))
            .arg(option("--service-account-signing-key-file", &files.service_account_key))
            .arg(option("--audit-policy-file", &files.audit_policy))
            .arg(option("--audit-log-path", &files.audit_log))
            // In MB. Never rotated: who reads the log reads all of it.
            .arg("--audit-log-maxsize=100000")
            .args(more);
        let apiserver = started_again(&program, files, &url).await?;
        Ok((program, apiserver, url))
    })
    .await
}

/// kube-apiserver at the address that its arguments say.
pub(super) async fn started_again(program: &Program, files: &Files, url: &str) -> Result<Guarded, ControlPlaneError> {
    let mut apiserver = program.start()?;
    apiserver.ready(START_LIMIT, || is_ready(files, url)).await?;
    Ok(apiserver)
}

/// Whether the API server says so, over TLS with the certificate that it has just written and with our token: nobody
/// else's can.
async fn is_ready(files: &Files, url: &str) -> bool {
    let Some(client) = std::fs::read(&files.ca).ok().and_then(|pem| http(Some(&pem)).ok()) else {
        return false;
    };
    let answer = client.get(format!("{url}/readyz")).bearer_auth(&files.admin_token).send().await;
    answer.is_ok_and(|answer| answer.status().is_success())
}

/// The two controllers that a control plane without nodes needs, if the program is there.
pub(super) async fn controller_manager(
    assets: &Assets,
    files: &Files,
    url: &str,
) -> Result<Option<Guarded>, ControlPlaneError> {
    let Some(program) = &assets.controller_manager else {
        return Ok(None);
    };
    let kubeconfig = files.kubeconfig("kube-controller-manager", url, &files.manager_token, "default")?;
    let certificates = files.directory.join("kube-controller-manager");
    let started = retried(|| async {
        let port = free_port()?;
        let mut manager = Program::new("kube-controller-manager", program, files.log("kube-controller-manager"))
            .arg(option("--kubeconfig", &kubeconfig))
            .arg("--controllers=namespace-controller,garbage-collector-controller")
            .arg("--leader-elect=false")
            .arg(format!("--secure-port={port}"))
            .arg("--bind-address=127.0.0.1")
            .arg(option("--cert-dir", &certificates))
            .start()?;
        // It listens once its flags are right and the API server answers it.
        let listens = || async { tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() };
        manager.ready(START_LIMIT, listens).await?;
        Ok(manager)
    });
    started.await.map(Some)
}

/// Starts a program again, on other ports, if it ended before it was ready.
async fn retried<T, F, Fut>(mut start: F) -> Result<T, ControlPlaneError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ControlPlaneError>>,
{
    let mut attempt = 1;
    loop {
        match start().await {
            Err(ControlPlaneError::Process(ProcessError::Exited { .. })) if attempt < ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

fn free_port() -> Result<u16, ControlPlaneError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(ControlPlaneError::file("free port on loopback"))
}

fn free_address() -> Result<String, ControlPlaneError> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}

fn option(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

fn http(ca: Option<&[u8]>) -> Result<Client, ControlPlaneError> {
    // Whatever proxy the machine has, loopback is not behind it.
    let mut builder = Client::builder().no_proxy().timeout(PROBE_LIMIT);
    if let Some(pem) = ca {
        let trusted = Certificate::from_pem_bundle(pem).map_err(ControlPlaneError::api("certificate"))?;
        builder = builder.tls_certs_only(trusted);
    }
    builder.build().map_err(ControlPlaneError::api("client for probes"))
}
