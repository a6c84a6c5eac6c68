//! SIGINT and SIGTERM: the first ends a run in order, the second at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two signals, heard from the moment it is made.
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// Starts to hear the signals; until then they end the process. Needs a runtime.
    pub(crate) fn hear() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Cancels `cancel` at the first signal, having said so; returns at the second.
    pub(crate) async fn twice(mut self, cancel: &CancellationToken, say: impl FnOnce(&str)) {
        let name = self.next().await;
        cancel.cancel();
        say(name);
        self.next().await;
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Sends this process a signal, which the runtime hears and which so ends nothing.
    async fn send(signal: &str) {
        let process = std::process::id().to_string();
        let status = tokio::process::Command::new("kill")
            .args([signal, &process])
            .status();
        assert!(status.await.unwrap().success());
    }

    #[tokio::test]
    async fn the_first_signal_cancels_and_the_second_returns() {
        let cancel = CancellationToken::new();
        let (sender, said) = tokio::sync::oneshot::channel();
        let interrupts = Interrupts::hear().unwrap();
        let twice = interrupts.twice(&cancel, |name| sender.send(name.to_owned()).unwrap());
        let signals = async {
            send("-TERM").await;
            assert_eq!(said.await.unwrap(), "SIGTERM");
            assert!(cancel.is_cancelled());
            send("-INT").await;
        };
        tokio::join!(twice, signals);
    }
}
