//! AWS as your credentials see it. Those of the operator may see more or less.

use sending_domain_operator::ses::error::Kind;

use super::Finding;
use crate::aws::{Aws, AwsError};

const YOURS: &str =
    "this tells of your credentials; the operator has its own, and says AWSAccessDenied where they do not suffice";

pub async fn look(region: &str) -> Vec<Finding> {
    let aws = match Aws::load().await {
        Ok(aws) => aws,
        Err(error) => return vec![Finding::fail(error, "unset it, or give the https URL")],
    };
    let caller = match aws.caller(region).await {
        Ok(caller) => Finding::ok(format!("AWS account {} as {}", caller.account, caller.arn)),
        Err(error) => return vec![failed(&error)],
    };
    let mut findings = vec![caller];
    match aws.account(region).await {
        Ok(account) => {
            if account.sending_enabled() {
                findings.push(Finding::ok(format!("SES in {region} may send")));
            } else {
                findings.push(Finding::fail(
                    format!("SES in {region} may not send"),
                    "open a case with AWS: sending of the account is paused",
                ));
            }
            if !account.production_access_enabled() {
                findings.push(Finding::warn(
                    format!("SES in {region} is in the sandbox: mail goes to verified addresses only"),
                    "request production access in the SES console; domains get verified all the same",
                ));
            }
        }
        Err(error) => findings.push(failed(&error)),
    }
    match aws.domains(region, None).await {
        Ok(domains) => findings.push(Finding::ok(format!("{} domain identities in {region}", domains.len()))),
        Err(error) => findings.push(failed(&error)),
    }
    findings
}

fn failed(error: &AwsError) -> Finding {
    match error.kind() {
        Kind::AccessDenied | Kind::NoCredentials => Finding::warn(error.to_string(), YOURS),
        Kind::Throttled => Finding::warn(error.to_string(), "the operator shares the limit of one request per second"),
        Kind::RegionUnavailable => {
            Finding::fail(error.to_string(), "choose another by --region, or enable it for the account")
        }
        _ => Finding::fail(
            error.to_string(),
            "https to email.REGION.amazonaws.com and sts.REGION.amazonaws.com has to be open",
        ),
    }
}
