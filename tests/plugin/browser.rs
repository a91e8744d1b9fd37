//! The page in a real browser, where the machine has one (`$CHROMIUM`, or one in `$PATH`).
//! With `$SCREENSHOTS=DIRECTORY` it leaves pictures of what it looked at there.

use std::path::Path;

use serde_json::{Value, json};

use crate::devtools::{Browser, installed};
use crate::page;
use crate::rig::Rig;

#[tokio::test]
async fn the_page_works_from_a_file_in_a_real_browser() {
    let Some(program) = installed() else {
        eprintln!("no browser here: set CHROMIUM to try the page in one");
        return;
    };
    let rig = Rig::start().await;
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, html: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, html).unwrap();
        format!("file://{}", file.display())
    };
    let good = write("good.html", &page::of_every_state(&rig).await);
    let bad = write("bad.html", &page::of_no_good(&rig).await);
    let looked = tokio::task::spawn_blocking(move || {
        copies(&program, &good);
        looks(&program, &good);
        harmless(&program, &bad);
    });
    looked.await.unwrap();
    rig.finish().await;
}

/// Every button copies its value, by mouse and by keyboard, with the clipboard and without it.
fn copies(program: &Path, url: &str) {
    let mut browser = Browser::start(program);
    let all = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
    let session = browser.evaluate("1");
    assert_eq!(session, 1);
    browser.call("Browser.grantPermissions", &all);
    browser.open(url);
    let values =
        browser.evaluate("[...document.querySelectorAll('dd:has(button) code')].map(code => code.textContent)");
    let values: Vec<Value> = values.as_array().unwrap().clone();
    assert_eq!(values.len(), 6 * 3 + 1);
    assert!(values.contains(&json!("bounce.mail")) && values.contains(&json!("bounce.mail.example.com")));
    assert!(values.contains(&json!("10")) && values.contains(&json!("feedback-smtp.us-east-1.amazonses.com")));
    assert_eq!(browser.evaluate("document.querySelectorAll('button[hidden]').length"), 0);
    browser.evaluate("window.copied = []; navigator.clipboard.writeText = async (text) => { copied.push(text); }; 1");
    browser.evaluate(
        "(async () => { for (const b of document.querySelectorAll('button')) { b.click(); await null; } })()",
    );
    assert_eq!(browser.evaluate("copied"), json!(values));
    assert_eq!(
        browser.evaluate("document.getElementById('said').textContent").as_str().unwrap(),
        format!("Copied {}", values.last().unwrap().as_str().unwrap())
    );
    // By keyboard alone.
    browser.evaluate("copied.length = 0; document.activeElement.blur(); 1");
    browser.press("Tab", 9);
    browser.press("Enter", 13);
    assert_eq!(browser.evaluate("new Promise(done => setTimeout(() => done(copied), 100))"), json!([values[0]]));
    assert_eq!(
        browser.evaluate("document.activeElement.getAttribute('aria-label')"),
        "Copy short name of DKIM 7gb326wkz3nyzkgnmzvwxyb6mkvmp5bv._domainkey.mail"
    );
    // Where a page may not use the clipboard, the older way: what is selected when the copy happens.
    browser.evaluate(
        "navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); window.old = []; \
         document.addEventListener('copy', () => old.push(getSelection().toString())); \
         document.querySelectorAll('button')[1].click(); 1",
    );
    assert_eq!(browser.evaluate("new Promise(done => setTimeout(() => done(old), 200))"), json!([values[1]]));
}

/// In light and dark, wide and narrow; nothing wider than the screen, and enough contrast between text and ground.
fn looks(program: &Path, url: &str) {
    let mut browser = Browser::start(program);
    browser.open(url);
    for (scheme, width, name) in
        [("light", 1000, "light"), ("dark", 1000, "dark"), ("light", 360, "phone"), ("dark", 360, "phone-dark")]
    {
        let size = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500});
        browser.call("Emulation.setDeviceMetricsOverride", &size);
        browser.call(
            "Emulation.setEmulatedMedia",
            &json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        );
        browser
            .evaluate(&format!("for (const d of document.querySelectorAll('details')) d.open = {}; 1", name != "dark"));
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert!(wide.as_u64().unwrap() <= width, "{name}: {wide} wide");
        let contrast = browser.evaluate(CONTRAST);
        assert!(contrast.as_f64().unwrap() >= 4.5, "{name}: contrast {contrast}");
        let shot = browser.screenshot();
        if let Some(directory) = std::env::var_os("SCREENSHOTS") {
            let bytes: k8s_openapi::ByteString = serde_json::from_value(json!(shot)).unwrap();
            std::fs::write(Path::new(&directory).join(format!("{name}.png")), bytes.0).unwrap();
        }
    }
    assert_asked_nobody(&browser, url);
}

/// The least contrast of a text with what is behind it, by WCAG 2.
const CONTRAST: &str = r"(() => {
  const numbers = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((v) => v / 255).map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    for (; node; node = node.parentElement) {
      const colour = getComputedStyle(node).backgroundColor;
      if ((numbers(colour)[3] ?? 1) > 0) return colour;
    }
  };
  return Math.min(...[...document.querySelectorAll('h1,h2,p,dt,code,button,summary,li,.state,.purpose,.note,.advice strong')].map((node) => {
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
})()";

/// What others wrote is text, and nothing else.
fn harmless(program: &Path, url: &str) {
    let mut browser = Browser::start(program);
    browser.open(url);
    assert_eq!(browser.evaluate("document.title"), "DNS records for mail.example.com");
    assert_eq!(browser.evaluate("document.querySelectorAll('script').length"), 1);
    assert_eq!(browser.evaluate("document.querySelectorAll('img,a,b,iframe,object,[onclick],[onerror]').length"), 0);
    let text = browser.evaluate("document.querySelector('dd code').textContent");
    assert!(text.as_str().unwrap().contains("<script>"), "{text}");
    assert_asked_nobody(&browser, url);
    // The policy holds even if something did get in.
    browser.evaluate("{ const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s); } 1");
    assert_eq!(browser.evaluate("document.title"), "DNS records for mail.example.com");
    let denied = browser.evaluate("fetch('https://example.com').then(() => 'sent', () => 'denied')");
    assert_eq!(denied, "denied");
}

/// No request but for the page, and no complaint of the browser about it.
fn assert_asked_nobody(browser: &Browser, url: &str) {
    let of = |method: &str| {
        browser
            .events
            .iter()
            .filter(|event| event["method"] == method)
            .map(|event| event["params"].clone())
            .collect::<Vec<_>>()
    };
    let asked: Vec<Value> =
        of("Network.requestWillBeSent").iter().map(|request| request["request"]["url"].clone()).collect();
    assert_eq!(asked, [json!(url)]);
    assert_eq!(of("Log.entryAdded"), Vec::<Value>::new());
    assert_eq!(of("Runtime.exceptionThrown"), Vec::<Value>::new());
}
