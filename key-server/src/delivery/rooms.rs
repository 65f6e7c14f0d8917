//! The rooms that have a task in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::room::Room;
use super::{Command, INBOX};
use crate::server::Shared;

/// Finds a room's task, or starts it.
pub(crate) struct Rooms {
    tasks: Mutex<HashMap<String, Task>>,
    stop: watch::Sender<bool>,
}

struct Task {
    inbox: mpsc::Sender<Command>,
    handle: JoinHandle<()>,
}

impl Rooms {
    pub(crate) fn new() -> Self {
        Self {
            tasks: Mutex::default(),
            stop: watch::Sender::new(false),
        }
    }

    /// Where to send commands for a room. The task may end between this and the sending; then ask again.
    pub(super) fn inbox(&self, shared: &Arc<Shared>, id: &str) -> mpsc::Sender<Command> {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = tasks.get(id).filter(|task| !task.inbox.is_closed()) {
            return task.inbox.clone();
        }
        let (inbox, commands) = mpsc::channel(INBOX);
        let handle = tokio::spawn(Room::run(
            shared.clone(),
            id.to_owned(),
            commands,
            self.stop.subscribe(),
        ));
        tasks.insert(
            id.to_owned(),
            Task {
                inbox: inbox.clone(),
                handle,
            },
        );
        inbox
    }

    /// Lets an idle task end, unless somebody is just sending to it.
    pub(super) fn retire(&self, id: &str, commands: &mut mpsc::Receiver<Command>) -> bool {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Senders take the lock before they clone the inbox, so with the lock held the count cannot rise.
        if commands.sender_strong_count() > 1 || !commands.is_empty() {
            return false;
        }
        tasks.remove(id);
        true
    }

    /// For [`stopped`].
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// Ends every room's task; each finishes the command that it is at.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let tasks: Vec<Task> = {
            let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
            tasks.drain().map(|(_, task)| task).collect()
        };
        for task in tasks {
            let _ = task.handle.await;
        }
    }
}

/// Returns when the server stops.
pub(super) async fn stopped(signal: &mut watch::Receiver<bool>) {
    let _ = signal.wait_for(|stop| *stop).await;
}
