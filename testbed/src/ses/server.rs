//! From a request to its answer: who calls, what fails on purpose, what is denied, too fast, or done.

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Response, Uri};
use jiff::Timestamp;

use super::auth::{self, Principal};
use super::error::{ApiError, OpResult, garbage_response, json_response, xml_response};
use super::fault::{Failure, delay};
use super::operation::{Operation, route};
use super::state::{Call, Place, Request, State};
use super::{account, create, list, put, sts, tags};

/// A request as it came in.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What goes back.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// `None`: the connection ends without an answer.
    pub(super) response: Option<Response<Body>>,
    /// How long the answer is held back.
    pub(super) after: Duration,
}

/// The two services behind the one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Service {
    Ses,
    Sts,
}

/// Everything known about a request while it is served.
#[derive(Debug)]
struct Asked {
    service: Service,
    operation: Operation,
    subject: Option<String>,
    form: Vec<(String, String)>,
}

impl Asked {
    fn of(incoming: &Incoming) -> Self {
        if incoming.method == Method::POST && incoming.uri.path() == "/" {
            let form = sts::parameters(&incoming.body);
            let (operation, subject) = sts::route(&form);
            return Self { service: Service::Sts, operation, subject, form };
        }
        let (operation, in_path) = route(incoming.method.as_str(), incoming.uri.path());
        let subject = in_path.or_else(|| subject(operation, incoming));
        Self { service: Service::Ses, operation, subject, form: Vec::new() }
    }
}

/// The name that is in the body or in the query, for those operations that do not have it in their path.
fn subject(operation: Operation, incoming: &Incoming) -> Option<String> {
    let in_body = |field: &str| {
        let body: Option<serde_json::Value> = serde_json::from_slice(&incoming.body).ok();
        body.and_then(|body| body[field].as_str().map(str::to_owned))
    };
    let arn = match operation {
        Operation::CreateEmailIdentity => return in_body("EmailIdentity"),
        Operation::CreateConfigurationSet => return in_body("ConfigurationSetName"),
        Operation::TagResource => in_body("ResourceArn"),
        Operation::UntagResource | Operation::ListTagsForResource => {
            let mut query = sts::query_parameters(&incoming.uri).into_iter();
            query.find(|(name, _)| name == "ResourceArn").map(|(_, arn)| arn)
        }
        _ => None,
    };
    arn.and_then(|arn| arn.split_once("identity/").map(|(_, name)| name.to_owned()))
}

/// Serves one request and writes down that it was made.
pub(super) fn serve(state: &mut State, incoming: Incoming) -> Outgoing {
    let asked = Asked::of(&incoming);
    let mut call = Call {
        operation: asked.operation,
        account: String::new(),
        region: String::new(),
        identity: asked.subject.clone(),
        http_status: None,
        error: None,
        at: Timestamp::now(),
    };
    let outgoing = match authenticated(state, &asked, &incoming.headers) {
        Ok((principal, place)) => {
            call.account.clone_from(&place.account);
            call.region.clone_from(&place.region);
            with_faults(state, &asked, incoming, principal, place)
        }
        Err(error) => answered(asked.service, Err(error)),
    };
    if let Some(response) = &outgoing.response {
        call.http_status = Some(response.status().as_u16());
        call.error = response.headers().get("x-amzn-errortype").and_then(|v| v.to_str().ok()).map(str::to_owned);
    }
    state.calls.push(call);
    outgoing
}

fn authenticated(state: &State, asked: &Asked, headers: &HeaderMap) -> Result<(Principal, Place), ApiError> {
    let scope = auth::scope(headers)?;
    let service = if asked.service == Service::Sts { "sts" } else { "ses" };
    let principal = auth::principal(state, &scope, headers, service)?;
    let place = Place { account: principal.account.clone(), region: scope.region };
    Ok((principal, place))
}

fn with_faults(state: &mut State, asked: &Asked, incoming: Incoming, principal: Principal, place: Place) -> Outgoing {
    let failure = state.faults.take(asked.operation);
    match failure {
        Some(Failure::Drop) => {
            return Outgoing { response: None, after: Duration::ZERO };
        }
        Some(Failure::Status(status)) => {
            return Outgoing { response: Some(garbage_response(status)), after: Duration::ZERO };
        }
        Some(Failure::Code { status, code, message }) => {
            return answered(asked.service, Err(ApiError { status, code, message }));
        }
        _ => {}
    }
    let mut outgoing = carried_out(state, asked, incoming, principal, place);
    match failure {
        Some(Failure::CommitThenDrop) => outgoing.response = None,
        Some(Failure::CommitThenCode { status, code, message }) => {
            outgoing = answered(asked.service, Err(ApiError { status, code, message }));
        }
        Some(Failure::Delay(milliseconds)) => outgoing.after = delay(milliseconds),
        _ => {}
    }
    outgoing
}

fn carried_out(state: &mut State, asked: &Asked, incoming: Incoming, principal: Principal, place: Place) -> Outgoing {
    if asked.service == Service::Sts {
        let answer = sts::serve(state, asked.operation, &principal, &asked.form);
        let response = answer.map_or_else(ApiError::into_xml, |body| xml_response(200, body));
        return Outgoing { response: Some(response), after: Duration::ZERO };
    }
    let request = Request {
        operation: asked.operation,
        place,
        principal,
        name: asked.subject.clone().unwrap_or_default(),
        query: sts::query_parameters(&incoming.uri),
        body: incoming.body,
    };
    answered(Service::Ses, admitted(state, &request).and_then(|()| dispatched(state, &request)))
}

/// Rate first, then rights: a refused call does not say whether it would have been allowed.
fn admitted(state: &mut State, request: &Request) -> Result<(), ApiError> {
    if let Some(rate) = state.settings.rate_limit
        && !state.limiter.admit(request.place.clone(), rate, Instant::now())
    {
        return Err(ApiError::new(429, "TooManyRequestsException", "Too Many Requests"));
    }
    if state.denied.contains(&request.operation) {
        return Err(denial(request, request.operation, &request.name));
    }
    Ok(())
}

/// The refusal of IAM.
pub(super) fn denial(request: &Request, operation: Operation, name: &str) -> ApiError {
    let resource = if name.is_empty() { "*".to_owned() } else { request.arn(name) };
    ApiError::access_denied(format!(
        "User: {} is not authorized to perform: ses:{operation} on resource: {resource} because no identity-based \
         policy allows the ses:{operation} action",
        request.principal.arn
    ))
}

fn dispatched(state: &mut State, request: &Request) -> OpResult {
    match request.operation {
        Operation::CreateEmailIdentity => create::create(state, request),
        Operation::GetEmailIdentity => create::get(state, request),
        Operation::DeleteEmailIdentity => create::delete(state, request),
        Operation::ListEmailIdentities => list::list_identities(state, request),
        Operation::PutEmailIdentityMailFromAttributes => put::mail_from(state, request),
        Operation::PutEmailIdentityDkimAttributes => put::dkim(state, request),
        Operation::PutEmailIdentityDkimSigningAttributes => put::dkim_signing(state, request),
        Operation::PutEmailIdentityConfigurationSetAttributes => put::configuration_set(state, request),
        Operation::TagResource => tags::tag(state, request),
        Operation::UntagResource => tags::untag(state, request),
        Operation::ListTagsForResource => tags::list_tags(state, request),
        Operation::CreateConfigurationSet => account::create_configuration_set(state, request),
        Operation::GetConfigurationSet => account::get_configuration_set(state, request),
        Operation::GetAccount => Ok(account::get_account(state)),
        Operation::AssumeRole | Operation::GetCallerIdentity | Operation::Unknown => {
            Err(ApiError::new(404, "UnknownOperationException", "The requested operation does not exist."))
        }
    }
}

fn answered(service: Service, result: OpResult) -> Outgoing {
    let response = match (service, result) {
        (_, Ok(body)) => json_response(200, &body),
        (Service::Ses, Err(error)) => error.into_json(),
        (Service::Sts, Err(error)) => error.into_xml(),
    };
    Outgoing { response: Some(response), after: Duration::ZERO }
}
