//! Errors on demand, throttling and missing rights.

use std::time::{Duration, Instant};

use aws_sdk_sesv2::error::SdkError;
use aws_sdk_sesv2::types::Tag;
use testbed::ses::{Failure, Operation};

use crate::{Bed, DOMAIN, REGION, bed, refusal, refused};

#[tokio::test]
async fn errors_on_demand_look_like_those_of_the_service() {
    let bed = bed().await;
    let get = || bed.client.get_email_identity().email_identity(DOMAIN).send();
    for (failure, status, code) in [
        (Failure::too_many_requests(), 429, "TooManyRequestsException"),
        (Failure::throttling(), 400, "ThrottlingException"),
        (Failure::concurrent_modification(), 500, "ConcurrentModificationException"),
        (Failure::code(400, "LimitExceededException", "no more"), 400, "LimitExceededException"),
    ] {
        bed.ses.fail_next(1, failure);
        let (got_status, got_code, _) = refusal(get().await);
        assert_eq!((got_status, got_code.as_deref()), (status, Some(code)));
    }
    bed.ses.fail_next(1, Failure::Status(502));
    let (status, code, _) = refusal(get().await);
    assert_eq!((status, code), (502, None));
    bed.ses.fail_next(1, Failure::Status(200));
    assert!(matches!(get().await, Err(SdkError::ServiceError(_) | SdkError::ResponseError(_))), "not JSON");
}

#[tokio::test]
async fn failures_can_be_for_one_operation() {
    let bed = bed().await;
    bed.ses.fail_next_for(Operation::CreateEmailIdentity, 2, Failure::throttling());
    bed.client.list_email_identities().send().await.unwrap();
    let create = || bed.client.create_email_identity().email_identity(DOMAIN).send();
    assert!(create().await.is_err());
    assert!(create().await.is_err());
    create().await.unwrap();
    bed.ses.fail_next(5, Failure::throttling());
    bed.ses.clear_failures();
    bed.client.list_email_identities().send().await.unwrap();
}

#[tokio::test]
async fn a_dropped_connection_leaves_it_open_what_was_done() {
    let bed = bed().await;
    let create = || bed.client.create_email_identity().email_identity(DOMAIN).send();
    bed.ses.fail_next(1, Failure::Drop);
    assert!(matches!(create().await, Err(SdkError::DispatchFailure(_))));
    assert!(bed.ses.identity(REGION, DOMAIN).is_none());
    bed.ses.fail_next(1, Failure::CommitThenDrop);
    assert!(matches!(create().await, Err(SdkError::DispatchFailure(_))));
    assert!(bed.ses.identity(REGION, DOMAIN).is_some());
    let statuses: Vec<Option<u16>> = bed.ses.calls().iter().map(|call| call.http_status).collect();
    assert_eq!(statuses, [None, None], "each was sent once");
    assert_eq!(refusal(create().await).1.as_deref(), Some("AlreadyExistsException"), "the next connection is good");
}

#[tokio::test]
async fn an_error_after_the_fact_and_a_late_answer() {
    let bed = bed().await;
    let (status, code, message) = (500, "InternalServiceErrorException".to_owned(), "oops".to_owned());
    bed.ses.fail_next(1, Failure::CommitThenCode { status, code, message });
    let create = bed.client.create_email_identity().email_identity(DOMAIN).send().await;
    assert_eq!(refusal(create), refused(500, "InternalServiceErrorException", "oops"));
    bed.ses.fail_next(1, Failure::Delay(300));
    let start = Instant::now();
    bed.get(DOMAIN).await;
    assert!(start.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn more_than_the_rate_allows_is_refused() {
    let bed = bed().await;
    bed.ses.configure(|settings| settings.rate_limit = Some(2.0));
    let list = || bed.client.list_email_identities().send();
    list().await.unwrap();
    list().await.unwrap();
    assert_eq!(refusal(list().await), refused(429, "TooManyRequestsException", "Too Many Requests"));
    let elsewhere = aws_sdk_sesv2::Client::new(&crate::config(&bed.ses, "us-east-1", "AKIDTEST").await);
    elsewhere.list_email_identities().send().await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    list().await.unwrap();
}

#[tokio::test]
async fn what_is_denied_says_who_may_not_do_what() {
    let bed = bed().await;
    let tag = Tag::builder().key("team").value("post").build().unwrap();
    let create = || bed.client.create_email_identity().email_identity(DOMAIN).tags(tag.clone()).send();
    let message = |action: &str| {
        format!(
            "User: arn:aws:iam::123456789012:user/AKIDTEST is not authorized to perform: ses:{action} on resource: \
             arn:aws:ses:eu-west-1:123456789012:identity/mail.example.com because no identity-based policy allows \
             the ses:{action} action"
        )
    };
    for operation in [Operation::CreateEmailIdentity, Operation::TagResource] {
        bed.ses.deny(operation);
        let expected = refused(403, "AccessDeniedException", &message(&operation.to_string()));
        assert_eq!(refusal(create().await), expected);
        bed.ses.allow(operation);
    }
    create().await.unwrap();
}

#[tokio::test]
async fn calls_are_written_down() {
    let bed = bed().await;
    bed.create(DOMAIN).await;
    let _ = bed.client.get_email_identity().email_identity("none.example.com").send().await;
    let calls = bed.ses.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].operation, Operation::CreateEmailIdentity);
    assert_eq!(calls[0].identity.as_deref(), Some(DOMAIN));
    assert_eq!((calls[0].account.as_str(), calls[0].region.as_str()), ("123456789012", REGION));
    assert_eq!((calls[0].http_status, calls[0].error.as_deref()), (Some(200), None));
    assert_eq!((calls[1].http_status, calls[1].error.as_deref()), (Some(404), Some("NotFoundException")));
    bed.ses.reset_calls();
    assert!(bed.ses.calls().is_empty());
    let arn = bed.ses.identity(REGION, DOMAIN).unwrap().arn;
    let tag = Tag::builder().key("team").value("post").build().unwrap();
    bed.client.tag_resource().resource_arn(&arn).tags(tag).send().await.unwrap();
    bed.client.untag_resource().resource_arn(&arn).tag_keys("team").send().await.unwrap();
    assert!(bed.ses.calls().iter().all(|call| call.identity.as_deref() == Some(DOMAIN)), "also by its ARN");
}

#[tokio::test]
async fn the_server_ends_with_its_handle() {
    let Bed { ses, client, .. } = bed().await;
    client.list_email_identities().send().await.unwrap();
    let clone = ses.clone();
    drop(ses);
    client.list_email_identities().send().await.unwrap();
    drop(clone);
    let start = Instant::now();
    while client.list_email_identities().send().await.is_ok() {
        assert!(start.elapsed() < Duration::from_secs(5), "still answers");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
