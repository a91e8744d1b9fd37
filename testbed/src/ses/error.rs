//! Errors with the shapes of the real service.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use serde_json::{Value, json};

/// An error as the service would send it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

/// What an operation answers.
pub(super) type OpResult = Result<Value, ApiError>;

impl ApiError {
    pub(super) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into() }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequestException", message)
    }

    pub(super) fn identity_not_found(name: &str) -> Self {
        Self::new(404, "NotFoundException", format!("Email identity {name} does not exist."))
    }

    pub(super) fn configuration_set_not_found(name: &str) -> Self {
        Self::new(404, "NotFoundException", format!("Configuration set <{name}> does not exist."))
    }

    pub(super) fn access_denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDeniedException", message)
    }

    /// The REST-JSON form, of everything below `/v2`.
    pub(super) fn into_json(self) -> Response<Body> {
        let mut response = json_response(self.status, &json!({ "message": self.message }));
        if let Ok(code) = self.code.parse() {
            response.headers_mut().insert("x-amzn-errortype", code);
        }
        response
    }

    /// The query protocol's form, of STS; its codes lack the word `Exception`.
    pub(super) fn into_xml(self) -> Response<Body> {
        let fault = if self.status < 500 { "Sender" } else { "Receiver" };
        let code = self.code.strip_suffix("Exception").unwrap_or(&self.code);
        let body = format!(
            "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>{fault}</Type>\
             <Code>{code}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
            xml_escaped(&self.message),
            request_id(),
        );
        xml_response(self.status, body)
    }
}

pub(super) fn json_response(status: u16, body: &Value) -> Response<Body> {
    respond(status, "application/json", body.to_string())
}

pub(super) fn xml_response(status: u16, body: String) -> Response<Body> {
    respond(status, "text/xml", body)
}

/// A body that is not what the protocol promises, as proxies and load balancers send it.
pub(super) fn garbage_response(status: u16) -> Response<Body> {
    respond(status, "text/html", "<html><body><h1>Not the service you expected</h1></body></html>".to_owned())
}

fn respond(status: u16, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    if let Ok(id) = request_id().parse() {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

/// Looks like a UUID, because the real one does.
pub(super) fn request_id() -> String {
    let hex = format!("{:032x}", rand::random::<u128>());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

pub(super) fn xml_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
