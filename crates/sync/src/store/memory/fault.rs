//! Faults and gates for selected calls.

use std::sync::Arc;

use image_syncer_registry::Error;
use tokio::sync::watch;

use crate::store::memory::MemoryStores;

pub(super) struct Fault {
    prefix: String,
    effect: Effect,
}

enum Effect {
    Fail {
        /// Number of matching calls that succeed first.
        after: usize,
        times: usize,
        error: Box<dyn Fn() -> Error + Send>,
    },
    Panic,
    Hold {
        after: usize,
        reached: Arc<watch::Sender<usize>>,
        open: watch::Receiver<bool>,
    },
}

/// Holds calls back until it is opened, or all of its clones are dropped.
#[derive(Clone)]
pub(crate) struct Gate(Arc<GateState>);

struct GateState {
    reached: Arc<watch::Sender<usize>>,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Arc::new(GateState {
            reached: Arc::new(watch::Sender::new(0)),
            open: watch::Sender::new(false),
        }))
    }
    /// Waits until this many calls have reached the gate.
    pub(crate) async fn reached(&self, calls: usize) {
        let mut reached = self.0.reached.subscribe();
        reached.wait_for(|reached| *reached >= calls).await.unwrap();
    }
    /// Returns the number of calls that have reached the gate.
    pub(crate) fn count(&self) -> usize {
        *self.0.reached.borrow()
    }
    /// Lets all calls pass from now on.
    pub(crate) fn open(&self) {
        self.0.open.send_replace(true);
    }
    /// Reaches the gate and waits until it is open.
    pub(super) async fn pass(&self) {
        self.0.reached.send_modify(|reached| *reached += 1);
        let mut open = self.0.open.subscribe();
        open.wait_for(|open| *open).await.unwrap();
    }
}

impl MemoryStores {
    /// Fails the next `times` calls that start with `prefix`.
    pub(crate) fn fail(
        &self,
        prefix: &str,
        times: usize,
        error: impl Fn() -> Error + Send + 'static,
    ) {
        let error = Box::new(error);
        let after = 0;
        self.add(
            prefix,
            Effect::Fail {
                after,
                times,
                error,
            },
        );
    }
    /// Fails calls that start with `prefix`, except the first `after`.
    pub(crate) fn fail_after(
        &self,
        prefix: &str,
        after: usize,
        error: impl Fn() -> Error + Send + 'static,
    ) {
        let (times, error) = (usize::MAX, Box::new(error));
        self.add(
            prefix,
            Effect::Fail {
                after,
                times,
                error,
            },
        );
    }
    /// Makes calls that start with `prefix` panic.
    pub(crate) fn panic_at(&self, prefix: &str) {
        self.add(prefix, Effect::Panic);
    }
    /// Makes calls that start with `prefix` wait for the gate.
    pub(crate) fn block_calls(&self, prefix: &str) -> Gate {
        self.block_calls_after(prefix, 0)
    }
    /// Makes calls that start with `prefix` wait for the gate, except the first `after`.
    pub(crate) fn block_calls_after(&self, prefix: &str, after: usize) -> Gate {
        let gate = Gate::new();
        let effect = Effect::Hold {
            after,
            reached: Arc::clone(&gate.0.reached),
            open: gate.0.open.subscribe(),
        };
        self.add(prefix, effect);
        gate
    }

    fn add(&self, prefix: &str, effect: Effect) {
        let prefix = prefix.to_owned();
        self.state().faults.push(Fault { prefix, effect });
    }

    /// Logs a call and applies its faults.
    pub(super) async fn begin_call(&self, call: String) -> Result<(), Error> {
        let mut gates = Vec::new();
        let mut failure = None;
        let mut panics = false;
        {
            let mut state = self.state();
            for fault in &mut state.faults {
                if !call.starts_with(&fault.prefix) {
                    continue;
                }
                match &mut fault.effect {
                    Effect::Fail { times: 0, .. } => {}
                    Effect::Fail { after, .. } | Effect::Hold { after, .. } if *after > 0 => {
                        *after -= 1;
                    }
                    Effect::Fail { times, error, .. } => {
                        *times -= 1;
                        failure = Some(error());
                    }
                    Effect::Panic => panics = true,
                    Effect::Hold { reached, open, .. } => {
                        reached.send_modify(|reached| *reached += 1);
                        gates.push(open.clone());
                    }
                }
            }
            state.calls.push(call.clone());
        }
        assert!(!panics, "told to panic at {call}");
        for mut gate in gates {
            // A dropped gate holds nothing back.
            let _ = gate.wait_for(|open| *open).await;
        }
        // Even a call without a gate yields to other tasks, as a network would.
        self.delay().await;
        failure.map_or(Ok(()), Err)
    }
}
