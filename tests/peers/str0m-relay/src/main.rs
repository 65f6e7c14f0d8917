//! A minimal relay on str0m in RTP mode: one UDP socket, one thread, each packet of a publisher written to all its subscribers.
//!
//! Signalling: `POST /` with `{"sdp": offer, "sources": [id, ...]}` gives `{"sdp": answer, "id": id}`. The k-th source goes to the k-th
//! m-line. It exists to be measured beside ours and does what a plain, careful use of the library gives: peers found by address, timers
//! looked at only when due, retransmission history on, requests for key frames passed on; one system call a datagram, as the library leaves
//! batching to its user.
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use str0m::change::SdpOffer;
use str0m::media::{KeyframeRequestKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{RtpPacket, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

/// How long new peers wait at most for the loop to see them.
const TICK: Duration = Duration::from_millis(2);

struct Joined {
    rtc: Rtc,
    sources: Vec<usize>,
}

struct Peer {
    rtc: Rtc,
    mids: Vec<Mid>,
    sources: Vec<usize>,
    /// Peers and m-lines that get what this one sends.
    subscribers: Vec<(usize, usize)>,
    due: Instant,
}

fn main() -> Result<()> {
    let listen: SocketAddr = std::env::args()
        .nth(1)
        .context("usage: str0m-relay <address:port>")?
        .parse()?;
    str0m::crypto::from_feature_flags().install_process_default();
    let socket = UdpSocket::bind((listen.ip(), 0))?;
    let address = socket.local_addr()?;
    let (joined, receiver) = mpsc::channel();
    std::thread::spawn(move || serve(listen, address, &joined));
    run(&socket, address, &receiver)
}

fn serve(listen: SocketAddr, address: SocketAddr, joined: &Sender<Joined>) -> Result<()> {
    let listener = TcpListener::bind(listen)?;
    // A peer's id is its place in the loop's list: what never became a peer has none.
    let mut next = 0;
    for stream in listener.incoming() {
        match answer(next, stream?, address, joined) {
            Ok(()) => next += 1,
            Err(error) => eprintln!("signalling: {error:#}"),
        }
    }
    Ok(())
}

fn answer(id: usize, mut stream: TcpStream, address: SocketAddr, joined: &Sender<Joined>) -> Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            bail!("no request");
        }
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let request: Value = serde_json::from_slice(&body)?;
    let sources = request["sources"].as_array().cloned().unwrap_or_default();
    let sources = sources
        .iter()
        .map(|id| id.as_str().context("sources")?.parse().context("sources"))
        .collect::<Result<Vec<usize>>>()?;
    let offer = SdpOffer::from_sdp_string(request["sdp"].as_str().context("sdp")?)?;
    let mut rtc = RtcConfig::new()
        .set_ice_lite(true)
        .set_rtp_mode(true)
        .clear_codecs()
        .enable_opus(true, false)
        .enable_vp8(true)
        .build(Instant::now());
    rtc.add_local_candidate(Candidate::host(address, "udp")?);
    let answer = rtc.sdp_api().accept_offer(offer)?.to_sdp_string();
    joined.send(Joined { rtc, sources }).ok().context("the loop is gone")?;
    let body = json!({ "sdp": answer, "id": id.to_string() }).to_string();
    // Who did not wait for the answer is a peer that never connects.
    let _ = write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Ok(())
}

fn run(socket: &UdpSocket, address: SocketAddr, joined: &Receiver<Joined>) -> Result<()> {
    let mut peers: Vec<Peer> = Vec::new();
    let mut by_address: HashMap<SocketAddr, usize> = HashMap::new();
    let mut buffer = vec![0; 2048];
    socket.set_read_timeout(Some(TICK))?;
    loop {
        while let Ok(Joined { rtc, sources }) = joined.try_recv() {
            let index = peers.len();
            for (line, source) in sources.iter().enumerate() {
                if let Some(source) = peers.get_mut(*source) {
                    source.subscribers.push((index, line));
                }
            }
            peers.push(Peer {
                rtc,
                mids: Vec::new(),
                sources,
                subscribers: Vec::new(),
                due: Instant::now(),
            });
            drive(&mut peers, index, socket)?;
        }
        match socket.recv_from(&mut buffer) {
            Ok((len, source)) => {
                let Ok(contents) = buffer[..len].try_into() else {
                    continue;
                };
                let now = Instant::now();
                let input = Input::Receive(
                    now,
                    Receive {
                        proto: Protocol::Udp,
                        source,
                        destination: address,
                        contents,
                    },
                );
                let known = by_address.get(&source).copied();
                let Some(index) = known.or_else(|| peers.iter().position(|peer| peer.rtc.accepts(&input))) else {
                    continue;
                };
                by_address.insert(source, index);
                if peers[index].rtc.handle_input(input).is_err() {
                    peers[index].rtc.disconnect();
                }
                drive(&mut peers, index, socket)?;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        let now = Instant::now();
        for index in 0..peers.len() {
            if peers[index].due <= now && peers[index].rtc.is_alive() {
                let _ = peers[index].rtc.handle_input(Input::Timeout(now));
                drive(&mut peers, index, socket)?;
            }
        }
    }
}

/// Polls one peer until it waits, and forwards what it received.
fn drive(peers: &mut [Peer], index: usize, socket: &UdpSocket) -> Result<()> {
    let mut packets: Vec<RtpPacket> = Vec::new();
    let mut asked: Vec<usize> = Vec::new();
    poll(&mut peers[index], socket, (&mut packets, &mut asked));
    for packet in packets {
        let subscribers = std::mem::take(&mut peers[index].subscribers);
        for (subscriber, line) in &subscribers {
            let peer = &mut peers[*subscriber];
            let Some(mid) = peer.mids.get(*line).copied() else {
                continue;
            };
            if !peer.rtc.is_connected() || peer.sources.is_empty() {
                continue;
            }
            let mut api = peer.rtc.direct_api();
            let Some(stream) = api.stream_tx_by_mid(mid, None) else {
                continue;
            };
            stream.write_rtp(
                RtpWrite::new(
                    packet.header.payload_type,
                    packet.seq_no,
                    packet.header.timestamp,
                    packet.timestamp,
                    packet.payload.clone(),
                )
                .marker(packet.header.marker)
                .nackable(true),
            );
            let mut none = Vec::new();
            poll(peer, socket, (&mut none, &mut asked));
        }
        peers[index].subscribers = subscribers;
    }
    // Whoever has to begin anew asks for a key frame: that goes on to who sends.
    for source in asked {
        let Some(peer) = peers.get_mut(source) else { continue };
        let Some(mid) = peer.mids.first().copied() else {
            continue;
        };
        let mut api = peer.rtc.direct_api();
        if let Some(stream) = api.stream_rx_by_mid(mid, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
        poll(peer, socket, (&mut Vec::new(), &mut Vec::new()));
    }
    Ok(())
}

/// What comes of it: packets to be forwarded, and peers who are asked for a key frame.
fn poll(peer: &mut Peer, socket: &UdpSocket, (packets, asked): (&mut Vec<RtpPacket>, &mut Vec<usize>)) {
    while peer.rtc.is_alive() {
        match peer.rtc.poll_output() {
            Ok(Output::Transmit(transmit)) => {
                let _ = socket.send_to(&transmit.contents, transmit.destination);
            }
            Ok(Output::Timeout(due)) => {
                peer.due = due;
                return;
            }
            Ok(Output::Event(Event::MediaAdded(added))) => peer.mids.push(added.mid),
            Ok(Output::Event(Event::KeyframeRequest(request))) => {
                let line = peer.mids.iter().position(|mid| *mid == request.mid);
                asked.extend(line.and_then(|line| peer.sources.get(line).copied()));
            }
            // Of simulcast layers, the highest is passed on.
            Ok(Output::Event(Event::RtpPacket(packet))) => {
                if packet.header.ext_vals.rid.is_none_or(|rid| &*rid == "f") {
                    packets.push(packet);
                }
            }
            Ok(Output::Event(_)) => {}
            Err(error) => {
                eprintln!("a peer ended: {error}");
                peer.rtc.disconnect();
            }
        }
    }
}
