//! Where the programs are: given by the environment, or built by `hack/build-controlplane.sh`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::ControlPlaneError;

/// A directory with `etcd` and `kube-apiserver` that the user brings; nothing of these is built then.
const GIVEN: &str = "KUBEBUILDER_ASSETS";
/// The same directory as the build script printed it, so that it need not run once per test program.
const BUILT: &str = "TESTBED_ASSETS";

/// The programs of a control plane.
#[derive(Debug, Clone)]
pub struct Assets {
    pub(super) etcd: PathBuf,
    pub(super) apiserver: PathBuf,
    pub(super) controller_manager: Option<PathBuf>,
    pub(super) kubectl: PathBuf,
}

impl Assets {
    /// Finds the programs: in `KUBEBUILDER_ASSETS`, else in `TESTBED_ASSETS`, else by building them, with progress on
    /// standard error. What those directories lack of `kube-controller-manager` and `kubectl` comes from `PATH` or from
    /// an earlier build.
    ///
    /// # Errors
    /// [`ControlPlaneError::Assets`] in one line that says what is missing.
    pub async fn find() -> Result<Self, ControlPlaneError> {
        let named = [GIVEN, BUILT].into_iter().find_map(|name| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
            Some((name, PathBuf::from(value)))
        });
        let (origin, directory) = match named {
            Some(named) => named,
            None => ("the build", build(&[]).await?),
        };
        let needed = |name: &str| {
            executable(&directory, name)
                .ok_or_else(|| ControlPlaneError::Assets(format!("{origin} = {} has no {name}", directory.display())))
        };
        let (etcd, apiserver) = (needed("etcd")?, needed("kube-apiserver")?);
        let controller_manager = elsewhere(&directory, "kube-controller-manager").await;
        if controller_manager.is_none() {
            warn(&format!(
                "no kube-controller-manager in {}: namespaces do not finish terminating, owned objects stay",
                directory.display()
            ));
        }
        let kubectl = elsewhere(&directory, "kubectl").await.ok_or_else(|| {
            ControlPlaneError::Assets(format!("no kubectl in {} nor on PATH: install it", directory.display()))
        })?;
        Ok(Self { etcd, apiserver, controller_manager, kubectl })
    }
}

/// Not `eprintln!`, which a test that passes keeps to itself.
fn warn(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// The program in the directory, else on `PATH`, else where an earlier build left it.
async fn elsewhere(directory: &Path, name: &str) -> Option<PathBuf> {
    if let Some(found) = executable(directory, name) {
        return Some(found);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).find_map(|directory| executable(&directory, name)) {
        return Some(found);
    }
    executable(&build(&["--where"]).await.ok()?, name)
}

fn executable(directory: &Path, name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join(name);
    let metadata = path.metadata().ok()?;
    (metadata.is_file() && metadata.permissions().mode() & 0o111 != 0).then_some(path)
}

/// Runs the build script; its progress goes to our standard error, its answer is a directory.
async fn build(args: &[&str]) -> Result<PathBuf, ControlPlaneError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/build-controlplane.sh");
    let output = Command::new("bash")
        .arg(&script)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .map_err(|error| ControlPlaneError::Assets(format!("bash {}: {error}", script.display())))?;
    if !output.status.success() {
        return Err(ControlPlaneError::Assets(format!("{} ended with {}", script.display(), output.status)));
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()))
}
