//! Placeholder.
use tokio_util::sync::CancellationToken;
#[derive(Clone, Default)]
pub struct Readiness;
impl Readiness {
    pub fn ready(&self) {}
}
#[derive(Clone)]
pub struct Liveness;
impl Liveness {
    pub fn new() -> Self {
        Liveness
    }
    pub fn beat(&self) {}
}
pub struct Served {
    pub metrics: Option<u16>,
    pub health: Option<u16>,
}
pub async fn serve(
    _m: &str,
    _h: &str,
    _x: &super::metrics::Metrics,
    _r: &Readiness,
    _l: &Liveness,
    _c: CancellationToken,
) -> std::io::Result<Served> {
    Ok(Served {
        metrics: None,
        health: None,
    })
}
