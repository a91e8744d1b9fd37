//! kubectl against the control plane, as a user would type it.

use std::path::Path;
use std::process::{Output, Stdio};

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::{ControlPlane, ControlPlaneError};

impl ControlPlane {
    /// The `kubectl` program.
    pub fn kubectl_path(&self) -> &Path {
        &self.assets.kubectl
    }

    /// Runs `kubectl` as the user who may do everything, whatever it answers.
    ///
    /// # Errors
    /// Only if it cannot be run at all.
    pub async fn kubectl(&self, args: &[&str]) -> Result<Output, ControlPlaneError> {
        self.kubectl_as(&self.kubeconfig, args, None).await
    }

    /// Runs `kubectl` as the user who may do everything and returns what it printed.
    ///
    /// # Errors
    /// With its own words if it exits with anything but 0.
    pub async fn kubectl_ok(&self, args: &[&str]) -> Result<String, ControlPlaneError> {
        printed(&self.kubectl(args).await?, args)
    }

    /// Runs `kubectl` with another kubeconfig and, if given, text on its standard input (for `-f -`).
    ///
    /// # Errors
    /// Only if it cannot be run at all.
    pub async fn kubectl_as(
        &self,
        kubeconfig: &Path,
        args: &[&str],
        input: Option<&str>,
    ) -> Result<Output, ControlPlaneError> {
        let failed = || ControlPlaneError::file(format!("{} {}", self.assets.kubectl.display(), args.join(" ")));
        let mut child = Command::new(&self.assets.kubectl)
            .args(args)
            .env("KUBECONFIG", kubeconfig)
            .env("KUBECACHEDIR", self.files.kubectl_cache())
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed())?;
        // Read while writing: kubectl answers the first documents of a long input before it has read the last.
        let stdin = child.stdin.take();
        let write = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // A kubectl that refuses early closes its input; its exit code and words say why.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let ((), output) = tokio::join!(write, child.wait_with_output());
        output.map_err(failed())
    }

    /// Applies manifests (`kubectl apply --server-side`) and returns what was printed.
    ///
    /// # Errors
    /// With kubectl's own words if any of them is refused.
    pub async fn apply_yaml(&self, manifests: &str) -> Result<String, ControlPlaneError> {
        let args = ["apply", "--server-side", "--field-manager=testbed", "-f", "-"];
        printed(&self.kubectl_as(&self.kubeconfig, &args, Some(manifests)).await?, &args)
    }
}

fn printed(output: &Output, args: &[&str]) -> Result<String, ControlPlaneError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
    Err(ControlPlaneError::Kubectl { command: args.join(" "), message })
}
