//! Shared limits in memory, as a database would keep them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use image_syncer_registry::Registry;
use image_syncer_registry::transport::{
    Draw, Grant, LimitUnit, LimitsUnavailable, PauseReason, RemotePauses, SharedLimits,
};
use tokio::time::{Instant, sleep};

/// Time of one draw.
const LATENCY: Duration = Duration::from_millis(5);

/// The answers of a [`Pool`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Up,
    /// Draws fail at once.
    Away,
    /// Draws have no answer for an hour.
    Silent,
    /// Draws are answered without tokens, and without a delay.
    Empty,
}

pub(super) struct Pool {
    processes: usize,
    state: Mutex<State>,
}

struct State {
    mode: Mode,
    paid: HashMap<(Registry, LimitUnit), Instant>,
    draws: Vec<Draw>,
    attached: Vec<RemotePauses>,
    /// Reported pauses.
    pauses: usize,
}

impl Pool {
    pub(super) fn new(processes: usize) -> Arc<Self> {
        Arc::new(Self {
            processes,
            state: Mutex::new(State {
                mode: Mode::Up,
                paid: HashMap::new(),
                draws: Vec::new(),
                attached: Vec::new(),
                pauses: 0,
            }),
        })
    }
    pub(super) fn set_mode(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }
    /// Returns the draws since the last call.
    pub(super) fn take_draws(&self) -> Vec<Draw> {
        std::mem::take(&mut self.state.lock().unwrap().draws)
    }
    /// Waits for `time`, and adds the draws until then to `draws`. Returns true if there were any.
    pub(super) async fn is_drawn_from(&self, time: Duration, draws: &mut Vec<Draw>) -> bool {
        sleep(time).await;
        let more = self.take_draws();
        draws.extend_from_slice(&more);
        !more.is_empty()
    }
    pub(super) fn pauses(&self) -> usize {
        self.state.lock().unwrap().pauses
    }
    /// Pauses `registry` at all transports. Returns true for each that exists.
    pub(super) fn reaches_all(&self, registry: &Registry) -> Vec<bool> {
        let attached = self.state.lock().unwrap().attached.clone();
        let pause =
            |one: &RemotePauses| one.pause(registry, Duration::from_secs(1), PauseReason::Overload);
        attached.iter().map(pause).collect()
    }
    fn grant(&self, draw: Draw) -> Grant {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap();
        let paid = state
            .paid
            .entry((draw.registry.clone(), draw.unit))
            .or_insert(now);
        let start = (*paid).max(now - draw.kept);
        let amount = u32::try_from(draw.amount).unwrap();
        *paid = start + Duration::from_secs_f64(f64::from(amount) / draw.rate);
        let grant = Grant {
            tokens: draw.amount,
            delay: start.saturating_duration_since(now),
        };
        state.draws.push(draw);
        grant
    }
}

impl SharedLimits for Pool {
    fn draw(&self, draw: Draw) -> BoxFuture<'_, Result<Grant, LimitsUnavailable>> {
        Box::pin(async move {
            let mode = self.state.lock().unwrap().mode;
            match mode {
                Mode::Up => {
                    sleep(LATENCY).await;
                    Ok(self.grant(draw))
                }
                Mode::Away => Err(LimitsUnavailable),
                Mode::Silent => {
                    sleep(Duration::from_secs(3600)).await;
                    Err(LimitsUnavailable)
                }
                Mode::Empty => {
                    self.state.lock().unwrap().draws.push(draw);
                    Ok(Grant {
                        tokens: 0,
                        delay: Duration::ZERO,
                    })
                }
            }
        })
    }
    fn pause(&self, registry: &Registry, delay: Duration, why: PauseReason) {
        let mut state = self.state.lock().unwrap();
        state.pauses += 1;
        for one in &state.attached {
            one.pause(registry, delay, why);
        }
    }
    fn attach(&self, pauses: RemotePauses) {
        self.state.lock().unwrap().attached.push(pauses);
    }
    fn processes(&self) -> usize {
        self.processes
    }
}
