//! What a running meeting costs: no allocation for a packet, and its packets in runs.
//!
//! Requirements held here: RELY-22.
#![allow(clippy::unwrap_used)]

mod common;

use common::offers::{DD, MID, VP8};
use common::{Line, Rtp, World, descriptor, key_descriptor};
use relay_token::Source;

const CAMERA: u32 = 500;
const RECEIVERS: usize = 5;
/// More than the relay keeps of a stream, so that nothing is used for the first time afterwards.
const WARM_UP: u16 = 1_200;

fn packet(n: u16, key: bool, size: usize) -> Rtp {
    Rtp {
        ssrc: CAMERA,
        sequence: 100 + n,
        timestamp: 90_000 + 3_000 * u32::from(n),
        payload_type: VP8,
        marker: true,
        extensions: vec![
            (MID, b"v".to_vec()),
            (DD, if key { key_descriptor(n) } else { descriptor(n) }),
        ],
        payload: vec![n as u8; size],
        padding: 0,
    }
}

/// Without feedback on arrivals: nothing is known of their lines, and nothing waits.
const UNMEASURED: (&str, &str) = (
    "96 97",
    "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n",
);

/// Alice with a camera, and those who see it. Key frames have other descriptors, so their packets are longer.
fn meeting() -> (World, usize, Vec<usize>) {
    meeting_of(|line| line.codecs = Some(UNMEASURED))
}

fn meeting_of(of: impl Fn(&mut Line)) -> (World, usize, Vec<usize>) {
    let mut world = World::new();
    let alice = world.enter("alice", &[Line::camera("v", CAMERA)]);
    let camera = world.producer(alice, Source::Camera);
    let receivers = (0..RECEIVERS)
        .map(|i| {
            let mut line = Line::receive("0", false, &camera);
            of(&mut line);
            world.enter(&format!("r{i}"), &[line])
        })
        .collect();
    world.rtp(alice, &packet(0, true, 1_000));
    (world, alice, receivers)
}

fn sealed(world: &mut World, alice: usize, numbers: std::ops::Range<u16>, size: usize) -> Vec<Vec<u8>> {
    numbers
        .map(|n| world.clients[alice].seal(&packet(n, false, size)))
        .collect()
}

#[test]
fn a_running_stream_is_forwarded_without_allocating() {
    let (mut world, alice, _) = meeting();
    let from = world.clients[alice].address;
    let forward = |world: &mut World, datagrams: &mut [Vec<u8>]| {
        // In batches, as they come from a socket.
        for batch in datagrams.chunks_mut(16) {
            for datagram in batch {
                world.engine.handle_datagram(world.now, from, datagram);
            }
            while let Some(transmit) = world.engine.poll_transmit() {
                world.engine.recycle(transmit);
            }
        }
    };
    let mut warm_up = sealed(&mut world, alice, 1..WARM_UP, 1_000);
    forward(&mut world, &mut warm_up);
    let mut datagrams = sealed(&mut world, alice, WARM_UP..WARM_UP + 320, 1_000);
    let before = world.stats().rtp_forwarded;
    let allocations = allocation_counter::measure(|| forward(&mut world, &mut datagrams));
    assert_eq!(world.stats().rtp_forwarded - before, 320 * RECEIVERS as u64);
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}

#[test]
fn rely_22_a_stream_whose_receivers_report_is_forwarded_and_reported_on_without_allocating() {
    let (mut world, alice, receivers) = meeting_of(|_| {});
    let mut allocations = 0;
    let before = world.stats();
    for round in 0..1_500_u16 {
        // Two packets each 5 ms: 3.3 Mbit/s.
        let mut datagrams = sealed(&mut world, alice, 1 + 2 * round..3 + 2 * round, 1_000);
        let mut reports = Vec::new();
        if round % 10 == 0 {
            for receiver in &receivers {
                let client = &mut world.clients[*receiver];
                client.media.clear();
                if let Some(report) = client.report() {
                    reports.push((client.address, client.seal_control(report)));
                }
            }
        }
        let from = world.clients[alice].address;
        let mut left = Vec::with_capacity(64);
        let spent = allocation_counter::measure(|| {
            for datagram in &mut datagrams {
                world.engine.handle_datagram(world.now, from, datagram);
            }
            for (from, report) in &mut reports {
                world.engine.handle_datagram(world.now, *from, report);
            }
            while let Some(transmit) = world.engine.poll_transmit() {
                left.push(transmit);
            }
        });
        if round >= 1_200 {
            allocations += spent.count_total;
        }
        for transmit in left {
            let client = world
                .clients
                .iter_mut()
                .find(|client| client.address == transmit.to)
                .unwrap();
            for datagram in transmit.datagrams() {
                client.handle(world.now, datagram);
            }
            world.engine.recycle(transmit);
        }
        world.pass(std::time::Duration::from_millis(5));
        if round % 200 == 0 {
            world.live(std::time::Duration::from_millis(5));
        }
    }
    let stats = world.stats();
    assert!(stats.reports > 500, "{stats:?}");
    assert!(
        stats.rtp_forwarded - before.rtp_forwarded >= 2_900 * RECEIVERS as u64,
        "{stats:?}"
    );
    assert_eq!(allocations, 0);
}

/// What can make a thread wait for another. Counters are atomic.
const LOCKS: [&str; 6] = ["Mutex", "RwLock", "Condvar", "Barrier", "OnceLock", "LazyLock"];

/// The lines of a source folder that name a lock, and how many files were looked at.
fn locks_in(folder: &std::path::Path, found: &mut Vec<String>) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += locks_in(&path, found);
        } else {
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let with_lock = text.lines().filter(|line| LOCKS.iter().any(|lock| line.contains(lock)));
            found.extend(with_lock.map(|line| format!("{}: {}", path.display(), line.trim())));
        }
    }
    files
}

#[test]
fn nothing_that_a_packet_over_udp_passes_has_a_lock() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for part in ["engine", "forward", "congestion", "rtp", "dd", "net/srtp", "net/batch"] {
        assert!(locks_in(&source.join(part), &mut found) > 0, "{part}");
    }
    assert!(found.is_empty(), "{found:#?}");
    // The search finds what there is: a connection over TCP has one.
    locks_in(&source.join("net/tcp"), &mut found);
    assert!(!found.is_empty());
}

#[test]
fn packets_that_came_together_leave_as_one_run_for_each_receiver_and_arrive_whole() {
    let (mut world, alice, receivers) = meeting();
    let from = world.clients[alice].address;
    for mut datagram in sealed(&mut world, alice, 1..8, 1_000) {
        world.engine.handle_datagram(world.now, from, &mut datagram);
    }
    let mut runs = Vec::new();
    while let Some(transmit) = world.engine.poll_transmit() {
        assert_eq!(transmit.datagrams().len(), 7);
        let client = world.clients.iter_mut().find(|client| client.address == transmit.to);
        let client = client.unwrap();
        for datagram in transmit.datagrams() {
            client.handle(world.now, datagram);
        }
        runs.push(transmit.to);
        world.engine.recycle(transmit);
    }
    assert_eq!(runs.len(), RECEIVERS);
    for receiver in receivers {
        let ssrc = world.clients[receiver].announced("0").0;
        let got = world.clients[receiver].of(ssrc);
        let numbers: Vec<u8> = got.iter().map(|packet| packet.payload[0]).collect();
        assert_eq!(numbers, (0..8).collect::<Vec<u8>>());
        assert!(
            got.windows(2)
                .all(|pair| pair[1].sequence == pair[0].sequence.wrapping_add(1))
        );
    }
}

#[test]
fn much_to_send_is_said_before_it_becomes_too_much() {
    let (mut world, alice, _) = meeting();
    let from = world.clients[alice].address;
    let mut datagrams = sealed(&mut world, alice, 1..400, 1_000);
    let mut queued = 0;
    for datagram in &mut datagrams {
        world.engine.handle_datagram(world.now, from, datagram);
        queued += 1;
        if world.engine.is_burst() {
            break;
        }
    }
    assert!((50..400).contains(&queued), "{queued} packets to {RECEIVERS} receivers");
    while let Some(transmit) = world.engine.poll_transmit() {
        world.engine.recycle(transmit);
    }
    assert!(!world.engine.is_burst());
}
