//! Everything that the delivery service says to a client, altered, to a client in a call and in every state on the way
//! there. The ledger of the simulated world checks at each step that who holds keys is who is shown; here, that the
//! client is well again, or over with a reason, once it is left in peace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2ee_core::group::Profile;
use e2ee_core::group::engine::Input as EngineInput;
use e2ee_core::wire::delivery::{EndReason, GroupEpoch, ServerMessage};
use simulator::watch::told;
use simulator::world::World;

use crate::Input;
use crate::mls::{alter_handshake, alter_welcome};

/// The one who is lied to, and when it comes.
const VICTIM: usize = 2;
const SECOND: Duration = Duration::from_secs(1);

/// Any message, in any state between opening the page and being in the call: as text, as bytes in a good message, as a
/// good message at the wrong time.
pub fn server_message(data: &[u8]) {
    let mut input = Input::new(data);
    let mut world = two_in_a_call();
    let heard = overheard(&mut world);
    world.join(VICTIM);
    world.run(Duration::from_millis(10 * input.below(120) as u64));
    for _ in 0..=input.below(6) {
        let message = heard.lock().unwrap().get(input.below(64)).cloned();
        match message {
            Some(message) if !input.byte().is_multiple_of(4) => {
                let altered = alter(message, &mut input);
                world.input(VICTIM, altered);
            }
            _ => {
                let count = input.below(200);
                let text = String::from_utf8_lossy(input.take(count)).into_owned();
                world.input(VICTIM, EngineInput::Text(text));
            }
        }
        world.run(Duration::from_millis(10 * input.below(30) as u64));
    }
    in_peace(&mut world);
}

/// A Welcome that is altered along its structure: refused, and the next one taken.
pub fn welcome(data: &[u8]) {
    let lies = data.to_vec();
    let mut world = two_in_a_call();
    let mut done = false;
    world.service.tamper = Some(Box::new(move |id, message| {
        if let (VICTIM, false, ServerMessage::Joined { .. }) = (id, done, &*message) {
            done = true;
            let mut input = Input::new(&lies);
            *message = alter_joined(message.clone(), &mut input);
        }
    }));
    world.join(VICTIM);
    world.run(SECOND * 2);
    in_peace(&mut world);
}

/// A commit, or the proposals before it, altered for one of the members.
pub fn commit(data: &[u8]) {
    let lies = data.to_vec();
    let mut world = two_in_a_call();
    world.join(VICTIM);
    world.run(SECOND * 2);
    let mut left = 1 + Input::new(data).below(2);
    world.service.tamper = Some(Box::new(move |id, message| {
        if let (VICTIM, 1.., ServerMessage::Commit { .. } | ServerMessage::Proposals { .. }) = (id, left, &*message) {
            left -= 1;
            let mut input = Input::new(&lies);
            *message = alter_group_message(message.clone(), &mut input);
        }
    }));
    world.join(VICTIM + 1);
    world.run(SECOND * 2);
    in_peace(&mut world);
}

fn two_in_a_call() -> World {
    World::meeting(Profile::Standard, 2)
}

/// What the victim is sent, kept to be altered and sent again.
fn overheard(world: &mut World) -> Arc<Mutex<Vec<ServerMessage>>> {
    let (heard, keep) = simulator::Shared::new();
    world.service.tamper = Some(Box::new(move |_, message| {
        keep.lock().unwrap().push(message.clone());
    }));
    heard
}

fn in_peace(world: &mut World) {
    world.service.tamper = None;
    let since = world.now;
    world.run(SECOND * 25);
    for (id, client) in &world.clients {
        let over = client.engine.is_over();
        assert_eq!(over, client.ended().is_some(), "client {id} says why it went");
        if *id != VICTIM {
            assert!(
                !over,
                "client {id} was not lied to and is still there: {:?}",
                client.ended()
            );
        }
    }
    let room = world.service.room.as_ref().unwrap();
    let in_step = |id: usize| world.clients[&id].engine.epoch() == Some(room.epoch());
    let victim = &world.clients[&VICTIM];
    assert!(
        victim.engine.is_over() || in_step(VICTIM) || told(world, VICTIM, since),
        "the client is neither where the others are, nor over, nor told"
    );
    assert!(in_step(0) && in_step(1), "the others are where they belong");
    world.ledger.check_holders(|id| world.device_of(id));
}

/// One message, altered: its bytes if it has any, else its numbers.
fn alter(message: ServerMessage, input: &mut Input<'_>) -> EngineInput {
    match input.byte() % 4 {
        // As it is, at another time.
        0 => EngineInput::Server(message),
        1 => {
            let mut text = simulator::world::as_text(&message).into_bytes();
            input.alter(&mut text);
            EngineInput::Text(String::from_utf8_lossy(&text).into_owned())
        }
        _ => EngineInput::Server(match message {
            ServerMessage::Joined { .. } => alter_joined(message, input),
            other => alter_group_message(other, input),
        }),
    }
}

fn alter_joined(mut message: ServerMessage, input: &mut Input<'_>) -> ServerMessage {
    if let ServerMessage::Joined {
        at,
        welcome,
        ratchet_tree,
        receipts,
    } = &mut message
    {
        match input.byte() % 6 {
            0 => alter_epoch(at, input),
            1 => input.alter(&mut ratchet_tree.0),
            2 => receipts.reverse(),
            3 => drop(receipts.pop()),
            4 => input.alter(&mut welcome.0),
            _ => welcome.0 = alter_welcome(welcome.as_slice(), input).unwrap_or_default(),
        }
    }
    message
}

fn alter_group_message(mut message: ServerMessage, input: &mut Input<'_>) -> ServerMessage {
    match &mut message {
        ServerMessage::Commit {
            at,
            commit,
            receipt,
            roster_salt,
        } => match input.byte() % 8 {
            0 => alter_epoch(at, input),
            1 => input.alter(&mut roster_salt.0),
            2 => input.alter(&mut receipt.entry.0),
            3 => receipt.index = receipt.index.wrapping_add(input.number() as u64),
            4 => {
                let mut checkpoint = std::mem::take(&mut receipt.checkpoint).into_bytes();
                input.alter(&mut checkpoint);
                receipt.checkpoint = String::from_utf8_lossy(&checkpoint).into_owned();
            }
            5 => input.alter(&mut commit.0),
            _ => commit.0 = alter_handshake(commit.as_slice(), input).unwrap_or_default(),
        },
        ServerMessage::Proposals {
            at,
            proposals,
            receipts,
        } => match input.byte() % 6 {
            0 => alter_epoch(at, input),
            1 => receipts.clear(),
            2 => drop(proposals.pop()),
            3 => proposals.extend(proposals.clone()),
            _ => {
                let which = input.below(proposals.len());
                if let Some(proposal) = proposals.get_mut(which) {
                    proposal.0 = alter_handshake(proposal.as_slice(), input).unwrap_or_default();
                }
            }
        },
        ServerMessage::Application { at, message } => match input.byte() % 3 {
            0 => alter_epoch(at, input),
            _ => input.alter(&mut message.0),
        },
        ServerMessage::Ack { at, leaf } => {
            alter_epoch(at, input);
            *leaf = input.number() as u32;
        }
        ServerMessage::Presence { at, live } => {
            alter_epoch(at, input);
            *live = (0..input.below(9)).map(|_| u32::from(input.byte() % 8)).collect();
        }
        ServerMessage::Certificate { chain, receipt } => match input.byte() % 3 {
            0 => chain.clear(),
            1 => input.alter(&mut receipt.entry.0),
            _ => {
                if let Some(leaf) = chain.first_mut() {
                    input.alter(&mut leaf.0);
                }
            }
        },
        ServerMessage::Ready(ready) => match input.byte() % 4 {
            0 => input.alter(&mut ready.trust_root.0),
            1 => ready.service_chain.reverse(),
            2 => std::mem::swap(&mut ready.service_chain, &mut ready.log_chain),
            _ => ready.device.push('x'),
        },
        ServerMessage::Pong {} => {
            message = ServerMessage::Ended {
                group_id: input.take(9).into(),
                reason: EndReason::Abandoned,
            };
        }
        _ => {}
    }
    message
}

fn alter_epoch(at: &mut GroupEpoch, input: &mut Input<'_>) {
    match input.byte() % 4 {
        0 => at.epoch = at.epoch.wrapping_add(1),
        1 => at.epoch = at.epoch.wrapping_sub(1),
        2 => at.epoch = u64::MAX,
        _ => input.alter(&mut at.group_id.0),
    }
}
