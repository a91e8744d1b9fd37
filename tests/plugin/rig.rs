//! A world with an operator, and the plugin run in it as a user would.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use testbed::world::{Operator, OperatorOptions, World, WorldOptions, object};
use tokio::process::Command;

/// The domain of most tests; its zone is [`ZONE`].
pub const DOMAIN: &str = "mail.example.com";
/// The parent of [`DOMAIN`].
pub const ZONE: &str = "example.com";
/// The name of most objects.
pub const NAME: &str = "mail";
/// The region of the operator.
pub const REGION: &str = "us-east-1";
/// Nothing takes as long, on a machine that does nothing else.
pub const LIMIT: Duration = Duration::from_mins(1);
/// What must never be printed.
pub const AWS_SECRET: &str = "aws-secret-canary-0123456789abcdef";

/// How the plugin ended.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// What it printed, if it ended well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// Both outputs, if it ended with `code`.
    pub fn with(self, code: i32) -> String {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        self.out + &self.err
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the plugin prints UTF-8");
        let ran =
            Self { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) };
        for text in [&ran.out, &ran.err] {
            assert!(!text.contains('\u{1b}'), "not a terminal, and yet an escape sequence: {text:?}");
            assert!(!text.contains("panicked at") && !text.contains(AWS_SECRET), "{text}");
        }
        ran
    }
}

/// A world, an operator, a namespace.
pub struct Rig {
    pub world: World,
    pub operator: Operator,
    pub namespace: String,
}

impl Rig {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut OperatorOptions)) -> Self {
        let world = World::start(WorldOptions::shared()).await.unwrap();
        world.ses().configure(|settings| settings.check_interval = Duration::from_millis(500));
        let namespace = world.namespace().await.unwrap();
        let mut options = OperatorOptions {
            namespaces: vec![namespace.clone()],
            ..OperatorOptions::new(env!("CARGO_BIN_EXE_sending-domain-operator"))
        };
        change(&mut options);
        let operator = world.operator(&options).unwrap();
        Self { world, operator, namespace }
    }

    /// A manual domain in a zone where nothing is, its records known.
    pub async fn pending(&self) -> Value {
        self.world.manual_zone(ZONE).unwrap();
        self.world.create(&self.namespace, &object::manual(NAME, DOMAIN)).await.unwrap();
        self.until("five records missing", |o| object::count(o, "Missing") == 5).await
    }

    pub async fn until(&self, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let waited = self.world.wait_for(&self.namespace, NAME, what, condition, LIMIT).await;
        waited.unwrap_or_else(|error| panic!("{error}"))
    }

    /// The plugin with the settings of a user who may do everything, in the namespace.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-sendingdomain"));
        command
            .env_clear()
            .env("HOME", self.world.control_plane().directory())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("KUBECONFIG", self.world.control_plane().admin_kubeconfig())
            .env("AWS_ENDPOINT_URL", self.world.ses().endpoint())
            .env("AWS_ACCESS_KEY_ID", "AKIATESTBED000000000")
            .env("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
            .env("AWS_REGION", REGION)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("CLOUDFLARE_BASE_URL", self.world.cloudflare().base_url())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs the plugin.
    pub async fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.command();
        command.args(args).args(["-n", &self.namespace]);
        let output = tokio::time::timeout(LIMIT, command.output()).await;
        output.unwrap_or_else(|_| panic!("{args:?} does not end")).unwrap().into()
    }

    /// The flags that lead to the DNS of this world.
    pub fn dns_flags(&self) -> [String; 3] {
        let address = self.world.dns_server().addr();
        [
            format!("--dns-resolvers={address}"),
            format!("--dns-authoritative-port={}", address.port()),
            "--dns-allow-private-nameservers".to_owned(),
        ]
    }

    /// Runs a command that asks DNS.
    pub async fn run_with_dns(&self, args: &[&str]) -> Ran {
        let flags = self.dns_flags();
        let all: Vec<&str> = args.iter().copied().chain(flags.iter().map(String::as_str)).collect();
        self.run(&all).await
    }

    pub async fn finish(mut self) {
        assert!(self.operator.is_running(), "the operator has ended:\n{}", self.world.log_tails());
        self.operator.stop().await.unwrap();
    }
}

/// The first program of these names in `$PATH`.
pub fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let candidates = std::env::split_paths(&path).flat_map(|dir| names.iter().map(move |name| dir.join(name)));
    candidates.into_iter().find(|candidate| candidate.is_file())
}

/// A string field of a JSON object.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
