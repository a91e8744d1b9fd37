//! The files that the programs read: tokens, the key of ServiceAccount tokens, the audit policy, kubeconfigs.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use k8s_openapi::ByteString;
use serde_json::json;

use super::ControlPlaneError;

/// Everything that a client may later be asked about, with bodies: the log is the witness of every write ever made.
/// Not the bodies of Secrets and tokens, and not the probes and schema documents that nobody asks about.
const AUDIT_POLICY: &str = r#"apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  nonResourceURLs: ["/readyz*", "/livez*", "/healthz*", "/openapi*", "/version*", "/api", "/api/*", "/apis", "/apis/*"]
- level: Metadata
  resources:
  - group: ""
    resources: [secrets, serviceaccounts/token]
  - group: authentication.k8s.io
    resources: [tokenreviews]
- level: RequestResponse
"#;

/// Where everything of one control plane is.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) directory: PathBuf,
    pub(super) etcd_data: PathBuf,
    pub(super) tokens: PathBuf,
    pub(super) admin_token: String,
    pub(super) manager_token: String,
    pub(super) service_account_key: PathBuf,
    pub(super) audit_policy: PathBuf,
    pub(super) audit_log: PathBuf,
    /// kube-apiserver writes its own self-signed certificate here.
    pub(super) certificates: PathBuf,
    /// That certificate and its issuer: what clients trust.
    pub(super) ca: PathBuf,
}

impl Files {
    pub(super) fn write(directory: &Path) -> Result<Self, ControlPlaneError> {
        let certificates = directory.join("apiserver");
        let files = Self {
            directory: directory.to_owned(),
            etcd_data: directory.join("etcd"),
            tokens: directory.join("tokens.csv"),
            admin_token: random_token(),
            manager_token: random_token(),
            service_account_key: directory.join("service-account.key"),
            audit_policy: directory.join("audit-policy.yaml"),
            audit_log: directory.join("audit.log"),
            ca: certificates.join("apiserver.crt"),
            certificates,
        };
        std::fs::create_dir_all(files.kubectl_cache()).map_err(ControlPlaneError::file("cache of kubectl"))?;
        // Both may do everything; the names keep them apart in the audit log.
        let tokens = format!(
            "{},admin,admin,system:masters\n{},system:kube-controller-manager,manager,system:masters\n",
            files.admin_token, files.manager_token
        );
        save(&files.tokens, &tokens)?;
        save(&files.service_account_key, &new_key()?)?;
        save(&files.audit_policy, AUDIT_POLICY)?;
        Ok(files)
    }

    /// The log of one program.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.log"))
    }

    /// kubectl keeps discovery documents by host and port; ports come again, so it gets a place that goes with us.
    pub(super) fn kubectl_cache(&self) -> PathBuf {
        self.directory.join("kubectl-cache")
    }

    /// Writes `NAME.kubeconfig` and returns its path.
    pub(super) fn kubeconfig(
        &self,
        name: &str,
        url: &str,
        token: &str,
        namespace: &str,
    ) -> Result<PathBuf, ControlPlaneError> {
        let path = self.directory.join(format!("{name}.kubeconfig"));
        let content = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {"server": url, "certificate-authority": self.ca}}],
            "users": [{"name": name, "user": {"token": token}}],
            "contexts": [{
                "name": "testbed",
                "context": {"cluster": "testbed", "user": name, "namespace": namespace},
            }],
            "current-context": "testbed",
        });
        let yaml = serde_yaml::to_string(&content)
            .map_err(|error| ControlPlaneError::file(path.display().to_string())(io::Error::other(error)))?;
        save(&path, &yaml)?;
        Ok(path)
    }
}

fn save(path: &Path, content: &str) -> Result<(), ControlPlaneError> {
    std::fs::write(path, content).map_err(ControlPlaneError::file(path.display().to_string()))
}

fn random_token() -> String {
    rand::random::<[u8; 20]>().iter().fold(String::new(), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    })
}

/// A new key as PEM, in the form (RFC 5915) that the API server takes for signing and, its public part, for checking.
fn new_key() -> Result<String, ControlPlaneError> {
    let failed = || ControlPlaneError::file("key of ServiceAccount tokens")(io::Error::other("no key was made"));
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| failed())?;
    let der = pair.private_key().as_der().map_err(|_| failed())?;
    Ok(pem("EC PRIVATE KEY", der.as_ref()))
}

/// DER as PEM. The one base64 encoder at hand is that of Kubernetes' own byte strings.
fn pem(label: &str, der: &[u8]) -> String {
    let encoded = json!(ByteString(der.to_vec()));
    let mut text = format!("-----BEGIN {label}-----\n");
    for (position, character) in encoded.as_str().unwrap_or_default().chars().enumerate() {
        if position > 0 && position % 64 == 0 {
            text.push('\n');
        }
        text.push(character);
    }
    let _ = write!(text, "\n-----END {label}-----\n");
    text
}
