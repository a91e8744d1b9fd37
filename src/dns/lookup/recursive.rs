//! What resolvers answer.

use futures::stream::{FuturesUnordered, StreamExt};
use hickory_proto::op::Message;
use std::time::Duration;
use tokio::time::{Instant, timeout};

use super::error::{LookupError, LookupErrorKind};
use super::message::{Asking, Question, Verdict, from_resolver, usable};
use super::settings::ResolverAddress;
use super::{Resolver, Seen, Source};

/// How long one resolver may take before the next is asked as well.
const PATIENCE: Duration = Duration::from_secs(1);

/// The first usable answer.
pub(super) struct Resolved {
    pub(super) reply: Message,
    /// How many resolvers were asked until then.
    pub(super) asked: usize,
}

impl Resolver {
    /// What the resolvers say to `question`.
    pub(super) async fn look_recursive(&self, question: &Question, asking: Asking, deadline: Instant) -> Seen {
        let outcome = match self.resolve(question, asking, deadline).await {
            Ok(resolved) => from_resolver(&resolved.reply, question)
                .map(|(verdict, ttl)| (verdict, ttl, resolved.asked))
                .map_err(LookupError::new),
            Err(error) => Err(error),
        };
        match outcome {
            Ok((verdict, ttl, asked)) => {
                let is_there = matches!(verdict, Verdict::Data(_));
                Seen {
                    source: Source::Recursive,
                    outcome: Ok(verdict),
                    negative_ttl: ttl.filter(|_| !is_there),
                    asked,
                    agreeing: 1,
                    positive_ttl: ttl.filter(|_| is_there),
                    instead: None,
                    by_server: Vec::new(),
                }
            }
            Err(error) => Seen::unknown(Source::Recursive, error, self.resolvers.len()),
        }
    }

    /// Asks the resolvers in order, the next one as soon as one fails or takes long, until one gives an answer.
    pub(super) async fn resolve(
        &self,
        question: &Question,
        asking: Asking,
        deadline: Instant,
    ) -> Result<Resolved, LookupError> {
        let mut rest = self.resolvers.iter();
        let mut running = FuturesUnordered::new();
        let mut failure = None;
        let mut asked = 0;
        loop {
            if let Some(resolver) = rest.next() {
                asked += 1;
                running.push(self.resolve_by(resolver, question, asking, deadline));
            }
            match timeout(PATIENCE, running.next()).await {
                Ok(Some(Ok(reply))) => return Ok(Resolved { reply, asked }),
                Ok(Some(Err(error))) => {
                    failure.get_or_insert(error);
                }
                Ok(None) => return Err(failure.unwrap_or_else(|| LookupError::new(LookupErrorKind::NoResolver))),
                Err(_) => {}
            }
        }
    }

    async fn resolve_by(
        &self,
        resolver: &ResolverAddress,
        question: &Question,
        asking: Asking,
        deadline: Instant,
    ) -> Result<Message, LookupError> {
        let reply = self.transport.ask_resolver(resolver, question, asking, deadline).await;
        reply.and_then(|reply| usable(&reply).map(|()| reply)).map_err(|kind| LookupError::of_server(kind, resolver))
    }
}
