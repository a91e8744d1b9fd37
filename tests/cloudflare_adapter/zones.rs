//! Which zone, for many objects of one token: what one is told serves the others.

use std::time::{Duration, Instant};

use futures::future::join_all;
use sending_domain_operator::api::reason::Reason;
use sending_domain_operator::api::v1alpha1::{CloudflareSpec, ConflictPolicy, SecretKeyRef};
use sending_domain_operator::dns::cloudflare::{ApiToken, Client, Settings};
use sending_domain_operator::dns::lookup::{self, Resolver};
use sending_domain_operator::dns::record::DnsName;
use sending_domain_operator::error::ErrorClass;
use sending_domain_operator::observe::observation::{Fault, ZoneView};
use sending_domain_operator::observe::zone::{Ages, Asked, Zones};

use crate::server::{Server, answer, listing, refusal};

const PENDING: Duration = Duration::from_secs(30);

struct Place {
    zones: Zones,
    client: Client,
    token: ApiToken,
    resolver: Option<Resolver>,
}

impl Place {
    fn new(client: Client, token: &str) -> Self {
        let token = ApiToken::parse(token.as_bytes()).unwrap();
        Self { zones: Zones::default(), client, token, resolver: None }
    }

    async fn view(&self) -> Result<ZoneView, Fault> {
        let asked = Asked { client: &self.client, token: &self.token, resolver: self.resolver.as_ref() };
        let secret = SecretKeyRef { name: "cloudflare".to_owned(), key: "api-token".to_owned() };
        let spec =
            CloudflareSpec { api_token_secret_ref: secret, zone_id: None, conflict_policy: ConflictPolicy::Fail };
        self.zones.view(asked, &spec, &DnsName::new("mail.example.com"), Ages::new(PENDING, false)).await
    }
}

fn zone(id: char, account: &str) -> String {
    let id = id.to_string().repeat(32);
    format!(
        r#"{{"id":"{id}","name":"example.com","status":"active","type":"full","account":{{"id":"{account}"}},
            "name_servers":["{id}.ns.cloudflare.com"]}}"#
    )
}

#[tokio::test]
async fn d2_an_outage_costs_nobody_more_than_two_calls() {
    let server = Server::raw(b"", Duration::from_mins(1)).await;
    let settings = Settings { timeout: Duration::from_millis(300), ..Settings::default() };
    let place = Place::new(server.client_with(settings), "a-token");
    let began = Instant::now();
    for view in join_all((0..32).map(|_| place.view())).await {
        assert_eq!(view.unwrap_err().reason, Reason::CloudflareUnavailable);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn b7_a_refused_token_is_not_tried_by_each_object() {
    let server = Server::always(403, refusal(9109, "Invalid access token")).await;
    let place = Place::new(server.client(), "a-token");
    for _ in 0..20 {
        assert_eq!(place.view().await.unwrap_err().reason, Reason::InvalidAPIToken);
    }
    let asked: Vec<String> = server.seen().iter().map(|seen| seen.uri.path().to_owned()).collect();
    assert_eq!(asked, ["/client/v4/zones", "/client/v4/user/tokens/verify"]);
}

#[tokio::test]
async fn b7_a_token_that_an_account_may_own_is_not_called_unknown() {
    let told = async |token: &str| {
        let server = Server::always(403, refusal(9109, "Invalid access token")).await;
        Place::new(server.client(), token).view().await.unwrap_err().message
    };
    let unknown = "Cloudflare does not know it";
    assert!(told("cfut_0123456789abcdefghijklmnopqrstuvwxyzABCD").await.contains(unknown));
    for token in ["of-an-older-form", "cfat_0123456789abcdefghijklmnopqrstuvwxyzABCD"] {
        assert!(!told(token).await.contains(unknown), "nobody asked its account: {token}");
    }
}

#[tokio::test]
async fn d2_records_that_cannot_be_read_say_nothing_of_the_list() {
    let server = Server::start(|seen| {
        let is_list = seen.uri.path().ends_with("/zones");
        if is_list { answer(200, &[], listing(&[zone('a', "")])) } else { answer(502, &[], "") }
    })
    .await;
    let place = Place::new(server.client(), "a-token");
    for _ in 0..3 {
        assert_eq!(place.view().await.unwrap_err().reason, Reason::CloudflareUnavailable);
    }
    assert_eq!(server.seen().iter().filter(|seen| seen.uri.path().ends_with("/zones")).count(), 1);
}

#[tokio::test]
async fn d1_a_silent_dns_makes_no_zone_ambiguous() {
    let server = Server::always(200, listing(&[zone('a', ""), zone('b', "")])).await;
    let mut place = Place::new(server.client(), "a-token");
    assert_eq!(place.view().await.unwrap_err().reason, Reason::ZoneAmbiguous, "nobody may ask DNS");
    let settings = lookup::Settings {
        resolvers: vec!["127.0.0.1:1".parse().unwrap()],
        timeout: Duration::from_millis(300),
        ..lookup::Settings::default()
    };
    place.resolver = Some(Resolver::new(settings).unwrap());
    let fault = place.view().await.unwrap_err();
    assert_eq!((fault.reason, fault.class), (Reason::Progressing, ErrorClass::Transient { retry_after: None }));
    assert!(fault.message.contains("DNS does not answer"), "{}", fault.message);
}
