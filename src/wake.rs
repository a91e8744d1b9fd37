//! Wakes objects before their next pass is due: when their turn at SES has come, or SES says something new of them.

use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};

use crate::ses::line::Asker;

/// Whoever wakes, and whoever listens. Clones share their listeners.
#[derive(Clone, Default)]
pub struct Wakes(Arc<Mutex<Vec<UnboundedSender<Asker>>>>);

impl Wakes {
    /// Everybody who is woken from now on.
    pub fn listen(&self) -> UnboundedReceiver<Asker> {
        let (sender, receiver) = unbounded();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }

    /// Wakes `asker`. Each listener knows its own objects.
    pub fn wake(&self, asker: &Asker) {
        let mut listeners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|listener| listener.unbounded_send(asker.clone()).is_ok());
    }
}
