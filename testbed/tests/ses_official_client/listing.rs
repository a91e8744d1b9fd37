//! `ListEmailIdentities`: pages, filters, both forms of it.

use std::collections::BTreeMap;

use aws_sdk_sesv2::types::{IdentityFilterKey, IdentityInfo};

use crate::{Bed, REGION, bed, refusal};

/// All pages; the names in order, and how many pages there were.
async fn all(bed: &Bed, page_size: Option<i32>) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut next) = (Vec::new(), 0, None);
    loop {
        let list = bed.client.list_email_identities().set_page_size(page_size).set_next_token(next);
        let page = list.send().await.unwrap();
        names.extend(page.email_identities().iter().map(|item| item.identity_name().unwrap().to_owned()));
        pages += 1;
        next = page.next_token;
        if next.is_none() {
            return (names, pages);
        }
    }
}

fn fill(bed: &Bed, count: usize) {
    let region = bed.ses.region(REGION);
    for n in 0..count {
        region.put_foreign_identity(&format!("d{n:04}.example.org"), &BTreeMap::new(), n % 2 == 0).unwrap();
    }
}

#[tokio::test]
async fn pages_hold_a_thousand_at_most_and_leave_none_out() {
    let bed = bed().await;
    fill(&bed, 2001);
    let (names, pages) = all(&bed, None).await;
    assert_eq!((names.len(), pages), (2001, 3));
    assert!(names.is_sorted());
    let (same, pages) = all(&bed, Some(700)).await;
    assert_eq!((same, pages), (names, 3));
}

#[tokio::test]
async fn small_pages_survive_deletions_in_between() {
    let bed = bed().await;
    fill(&bed, 4);
    let first = bed.client.list_email_identities().page_size(2).send().await.unwrap();
    bed.ses.region(REGION).delete_identity("d0001.example.org");
    let list = bed.client.list_email_identities().page_size(2).set_next_token(first.next_token);
    let second = list.send().await.unwrap();
    let names: Vec<_> = second.email_identities().iter().filter_map(IdentityInfo::identity_name).collect();
    assert_eq!(names, ["d0002.example.org", "d0003.example.org"]);
    assert_eq!(second.next_token(), None);
}

#[tokio::test]
async fn filters_narrow_the_list_and_items_show_the_status() {
    let bed = bed().await;
    fill(&bed, 4);
    bed.create("me@example.com").await;
    let count = async |key: IdentityFilterKey, value: &str| {
        let list = bed.client.list_email_identities().filter(key, value).send().await.unwrap();
        list.email_identities().len()
    };
    assert_eq!(count(IdentityFilterKey::VerificationStatus, "SUCCESS").await, 2);
    assert_eq!(count(IdentityFilterKey::VerificationStatus, "PENDING").await, 3);
    assert_eq!(count(IdentityFilterKey::IdentityType, "EMAIL_ADDRESS").await, 1);
    assert_eq!(count(IdentityFilterKey::IdentityNameContains, "000").await, 4);
    let list = bed.client.list_email_identities().page_size(1).send().await.unwrap();
    let item = &list.email_identities()[0];
    assert_eq!(item.identity_name(), Some("d0000.example.org"));
    assert_eq!(item.identity_type().unwrap().as_str(), "DOMAIN");
    assert_eq!(item.verification_status().unwrap().as_str(), "SUCCESS");
    assert!(item.sending_enabled());
}

#[tokio::test]
async fn bad_sizes_and_tokens_are_refused() {
    let bed = bed().await;
    for size in [-1, 1001] {
        let (status, code, _) = refusal(bed.client.list_email_identities().page_size(size).send().await);
        assert_eq!((status, code.as_deref()), (400, Some("BadRequestException")));
    }
    let (status, code, _) = refusal(bed.client.list_email_identities().next_token("nonsense").send().await);
    assert_eq!((status, code.as_deref()), (400, Some("BadRequestException")));
}

#[tokio::test]
async fn the_get_form_of_the_published_api_works_too() {
    let bed = bed().await;
    fill(&bed, 3);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIDTEST/20260801/{REGION}/ses/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={}",
        "0".repeat(64)
    );
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let get = http.get(format!("{}/v2/email/identities?PageSize=2", bed.ses.endpoint()));
    let get = get.header("x-amz-date", "20260801T000000Z").header("authorization", authorization);
    let page: serde_json::Value = get.send().await.unwrap().json().await.unwrap();
    assert_eq!(page["EmailIdentities"].as_array().unwrap().len(), 2);
    assert!(page["NextToken"].is_string());
}
