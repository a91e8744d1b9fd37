//! From a request on the wire to an answer or a fault.

use hickory_proto::op::{Edns, Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::net::xfer::Protocol;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use super::zone::Answer;
use super::{Dns, Fault, Query, value};

/// Largest UDP answer, whatever the asker offers: what fits everywhere without fragments (DNS flag day 2020).
const UDP_PAYLOAD: u16 = 1232;

#[async_trait::async_trait]
impl RequestHandler for Dns {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, mut sink: R) -> ResponseInfo {
        let Some((metadata, answer)) = self.respond(request).await else {
            return silence(request);
        };
        let edns = request.edns.as_ref().map(|asked| {
            let mut edns = Edns::new();
            edns.set_max_payload(asked.max_payload().clamp(512, UDP_PAYLOAD));
            edns
        });
        let response = MessageResponseBuilder::new(&request.queries, edns.as_ref()).build(
            metadata,
            &answer.answers,
            &answer.authorities,
            [],
            &answer.additionals,
        );
        match sink.send_response(response).await {
            Ok(info) => info,
            Err(error) => {
                tracing::debug!(%error, "asker is gone");
                silence(request)
            }
        }
    }
}

impl Dns {
    /// The answer to send, or nothing where none is to be sent.
    async fn respond(&self, request: &Request) -> Option<(Metadata, Answer)> {
        let mut metadata = Metadata::response_from_request(&request.metadata);
        if request.metadata.op_code != OpCode::Query {
            return Some(failure(metadata, ResponseCode::NotImp));
        }
        let Ok(info) = request.request_info() else {
            return Some(failure(metadata, ResponseCode::FormErr));
        };
        let name = Name::from(info.query.name());
        let rtype = info.query.query_type();
        let recursive = request.metadata.recursion_desired;
        let tcp = request.protocol() == Protocol::Tcp;
        self.record_query(Query { name: value::plain(&name), rtype, recursion_desired: recursive, tcp });
        let fault = self.fault_for(&name, rtype);
        match fault {
            Some(Fault::Drop) => return None,
            Some(Fault::ServFail) => return Some(failure(metadata, ResponseCode::ServFail)),
            Some(Fault::Bogus) if recursive && !request.metadata.checking_disabled => {
                return Some(failure(metadata, ResponseCode::ServFail));
            }
            Some(Fault::Hiccup) if recursive && !request.metadata.checking_disabled && self.hiccups(&name, rtype) => {
                return Some(failure(metadata, ResponseCode::ServFail));
            }
            Some(Fault::Refused) => return Some(failure(metadata, ResponseCode::Refused)),
            Some(Fault::Truncate) if !tcp => {
                metadata.truncation = true;
                metadata.authoritative = true;
                return Some(failure(metadata, ResponseCode::NoError));
            }
            Some(Fault::Delay(wait)) => tokio::time::sleep(wait).await,
            Some(Fault::Truncate | Fault::NotAuthoritative | Fault::Bogus | Fault::Hiccup) | None => {}
        }
        Some(self.good_answer(metadata, &name, rtype, fault))
    }

    fn good_answer(
        &self,
        mut metadata: Metadata,
        name: &Name,
        rtype: RecordType,
        fault: Option<Fault>,
    ) -> (Metadata, Answer) {
        let answer = self.answer(name, rtype, metadata.recursion_desired);
        metadata.response_code = answer.code;
        metadata.authoritative = answer.authoritative && fault != Some(Fault::NotAuthoritative);
        // Without RA a client may conclude that it asked the wrong kind of server.
        metadata.recursion_available = metadata.recursion_desired;
        (metadata, answer)
    }
}

fn failure(mut metadata: Metadata, code: ResponseCode) -> (Metadata, Answer) {
    metadata.response_code = code;
    (metadata, Answer::empty())
}

/// What hickory wants to hear when nothing was sent; a handler that waited instead would hold its slot for ever.
fn silence(request: &Request) -> ResponseInfo {
    ResponseInfo::from(Header {
        metadata: Metadata::new(request.metadata.id, MessageType::Response, request.metadata.op_code),
        counts: HeaderCounts::default(),
    })
}
