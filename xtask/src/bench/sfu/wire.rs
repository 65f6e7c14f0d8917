//! What lies between the load and the relays: a pair of virtual Ethernet devices with the relays' end in a network of its own, as Janus takes
//! no loopback address; loopback where we may not make one.

use crate::run;
use std::process::Command;

const NETWORK: &str = "conclave-bench";
const NEAR: &str = "10.97.0.1";
const FAR: &str = "10.97.0.2";

pub(super) struct Wire {
    /// The load's address and the relays'.
    pub(super) near: String,
    pub(super) far: String,
    private: bool,
}

impl Wire {
    pub(super) fn lay() -> Self {
        cut(); // what an interrupted run left behind
        let private = [
            &["netns", "add", NETWORK][..],
            &[
                "link", "add", "cbench0", "type", "veth", "peer", "name", "cbench1", "netns", NETWORK,
            ],
            &["addr", "add", "10.97.0.1/30", "dev", "cbench0"],
            &["link", "set", "cbench0", "up"],
            &["-n", NETWORK, "addr", "add", "10.97.0.2/30", "dev", "cbench1"],
            &["-n", NETWORK, "link", "set", "cbench1", "up"],
            &["-n", NETWORK, "link", "set", "lo", "up"],
        ]
        .iter()
        .all(|args| run::quietly(Command::new("ip").args(*args)).is_ok());
        if !private {
            cut();
        }
        let or_loopback = |address: &str| if private { address } else { "127.0.0.1" }.to_owned();
        Wire {
            near: or_loopback(NEAR),
            far: or_loopback(FAR),
            private,
        }
    }

    pub(super) fn is_private(&self) -> bool {
        self.private
    }

    /// A command that runs at the relays' end.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        if !self.private {
            return Command::new(program);
        }
        // `ip` becomes the program: the child's id is the relay's.
        let mut command = Command::new("ip");
        command.args(["netns", "exec", NETWORK]).arg(program);
        command
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.private {
            cut();
        }
    }
}

fn cut() {
    // Deleting a network deletes its end of the pair and with it the other. Nothing there, nothing to do.
    let _ = run::quietly(Command::new("ip").args(["netns", "del", NETWORK]));
}
