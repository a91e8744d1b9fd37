//! What a cluster's administrator does once: the CRD, the operator's namespace and its RBAC.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kube::Api;
use kube::api::ListParams;
use kube::core::DynamicObject;
use tokio::sync::OnceCell;

use super::{Plane, Result, WorldError, WorldOptions, object};
use crate::control_plane::{self, ControlPlane, Options};

/// The namespace in which the operator is installed.
pub const SYSTEM_NAMESPACE: &str = "sending-domain-operator-system";
/// The operator's ServiceAccount.
pub const OPERATOR: &str = "sending-domain-operator";

/// The authorizer and the discovery of a new kind follow watches, on a machine that may be busy.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A control plane with everything installed, and the kubeconfig of the operator's ServiceAccount.
pub(super) async fn plane(options: &WorldOptions) -> Result<(Plane, PathBuf)> {
    // Also the kubeconfig is written once: operators of other tests may be reading it.
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    if options.shared_control_plane {
        let plane = ControlPlane::shared().await?;
        let kubeconfig = INSTALLED.get_or_try_init(|| install(plane)).await?;
        return Ok((Plane::Shared(plane), kubeconfig.clone()));
    }
    let plane = ControlPlane::start(Options { keep_files: options.keep_files, ..Options::default() });
    let plane = Box::new(plane.await?);
    let kubeconfig = if options.uninstalled { plane.admin_kubeconfig().to_owned() } else { install(&plane).await? };
    Ok((Plane::Own(plane), kubeconfig))
}

/// The directory that this repository's manifests are in.
pub(super) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

async fn install(plane: &ControlPlane) -> Result<PathBuf> {
    let crd = repository().join("crds/sendingdomains.yaml");
    let crd = std::fs::read_to_string(&crd).map_err(WorldError::io(crd.display().to_string()))?;
    plane.apply_yaml(&crd).await?;
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {SYSTEM_NAMESPACE}}}\n");
    plane.apply_yaml(&namespace).await?;
    let rbac = repository().join("config/rbac").display().to_string();
    plane.kubectl_ok(&["apply", "--server-side", "-k", &rbac]).await?;
    let established = ["wait", "--for=condition=Established", "--timeout=30s", "crd/sendingdomains.sendingdomain.dev"];
    plane.kubectl_ok(&established).await?;
    kubeconfig(plane).await
}

/// The kubeconfig of the operator's ServiceAccount, once that may do its work.
pub(super) async fn kubeconfig(plane: &ControlPlane) -> Result<PathBuf> {
    let kubeconfig = plane.service_account_kubeconfig(SYSTEM_NAMESPACE, OPERATOR).await?;
    settle(&kubeconfig).await?;
    Ok(kubeconfig)
}

/// Waits until the ServiceAccount may list what it is there for.
async fn settle(kubeconfig: &Path) -> Result<()> {
    let client = control_plane::client(kubeconfig).await?;
    let domains: Api<DynamicObject> = Api::all_with(client, &object::kind());
    let started = Instant::now();
    while let Err(error) = domains.list(&ListParams::default().limit(1)).await {
        if started.elapsed() > SETTLED_WITHIN {
            return Err(WorldError::kube("list sendingdomains as the operator")(error));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
