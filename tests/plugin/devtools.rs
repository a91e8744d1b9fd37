//! A real browser without a window, driven over its DevTools protocol by two named pipes: no port, no further library.
//!
//! Source: <https://chromedevtools.github.io/devtools-protocol/>; `--remote-debugging-pipe` takes descriptors 3 and 4.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::rig::program;

const NAMES: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell"];

/// The browser of this machine: `$CHROMIUM`, or one in `$PATH`.
pub fn installed() -> Option<PathBuf> {
    std::env::var_os("CHROMIUM").map(PathBuf::from).or_else(|| program(&NAMES))
}

/// A running browser with one page.
pub struct Browser {
    child: Child,
    requests: File,
    answers: BufReader<File>,
    session: Option<String>,
    next: u64,
    /// Everything that the browser told by itself.
    pub events: Vec<Value>,
    _home: tempfile::TempDir,
}

impl Browser {
    pub fn start(program: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        let pipe = |name: &str| home.path().join(name);
        let made = Command::new("mkfifo").args([pipe("in"), pipe("out")]).status().unwrap();
        assert!(made.success());
        let profile = format!("--user-data-dir={}", pipe("profile").display());
        let child = Command::new("sh")
            // Without a sandbox, which needs rights that containers do not have; the page is our own.
            .args(["-c", "exec timeout 120 \"$0\" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --remote-debugging-pipe \"$3\" about:blank 3<\"$1\" 4>\"$2\""])
            .args([program, &pipe("in"), &pipe("out"), Path::new(&profile)])
            .env("HOME", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Opening a pipe waits for its other end, which the shell opens in this order.
        let requests = OpenOptions::new().write(true).open(pipe("in")).unwrap();
        let answers = BufReader::new(File::open(pipe("out")).unwrap());
        let mut browser = Self { child, requests, answers, session: None, next: 0, events: Vec::new(), _home: home };
        let target = browser.call("Target.createTarget", &json!({"url": "about:blank"}));
        let attached = browser.call("Target.attachToTarget", &json!({"targetId": target["targetId"], "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// One command and its answer; events on the way are kept.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let mut request = json!({"id": self.next, "method": method, "params": params});
        if let Some(session) = &self.session {
            request["sessionId"] = json!(session);
        }
        self.requests.write_all(format!("{request}\0").as_bytes()).unwrap();
        loop {
            let answer = self.read();
            if answer["id"] == self.next {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.answers.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Opens a page and waits until it is there.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({ "url": url }));
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.read();
            self.events.push(event);
        }
    }

    /// The value of an expression, awaited.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let params =
            json!({"expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", &params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        let down = json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
        self.call("Input.dispatchKeyEvent", &down);
        self.call(
            "Input.dispatchKeyEvent",
            &json!({"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code}),
        );
    }

    /// The whole page as a PNG, in base64.
    pub fn screenshot(&mut self) -> String {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png", "captureBeyondViewport": true}));
        shot["data"].as_str().unwrap().to_owned()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It ends by this, or with its pipes; a browser that hangs ends by its time limit.
        let _ = self.requests.write_all(b"{\"id\":0,\"method\":\"Browser.close\"}\0");
        let _ = self.child.wait();
    }
}
