//! Our wire formats against other implementations of them.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::{Duration, Instant};

use rtc_dtls::crypto_provider::default_provider;
use rtc_shared::marshal::Unmarshal;
use rtc_srtp::context::Context;
use rtc_srtp::protection_profile::ProtectionProfile;
use sfu_relay::net::srtp::{Profile, Srtp, SrtpError};
use sfu_relay::net::stun::{BindingRequest, StunError, integrity_key};
use sfu_relay::rtp::rtcp::{ReportBlock, Rtcp, SenderReport, Writer, nacked, parse};
use sfu_relay::rtp::twcc::Recorder;

const PROFILES: [(Profile, ProtectionProfile, usize); 2] = [
    (Profile::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm, 12),
    (Profile::Aes128CmHmacSha1_80, ProtectionProfile::Aes128CmHmacSha1_80, 14),
];

fn material(profile: Profile) -> Vec<u8> {
    (0..profile.keying_material_len() as u8)
        .map(|byte| byte.wrapping_mul(37).wrapping_add(11))
        .collect()
}

/// Our server and the oracle's view of the same keys: what it opens is what the server seals, and the reverse.
fn both(profile: Profile, oracle: ProtectionProfile, salt: usize) -> (Srtp, Context, Context) {
    let provider = default_provider().unwrap();
    let material = material(profile);
    let (client_key, server_key) = (&material[..16], &material[16..32]);
    let (client_salt, server_salt) = (&material[32..32 + salt], &material[32 + salt..]);
    let context = |key, salt| Context::new(key, salt, oracle, None, None, provider.crypto()).unwrap();
    let ours = Srtp::server(profile, &material, provider.crypto()).unwrap();
    (ours, context(client_key, client_salt), context(server_key, server_salt))
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut packet = vec![0x90, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 1, 2, 0xCA, 0xFE, 0xBA, 0xBE]);
    packet.extend_from_slice(&[0xBE, 0xDE, 0, 1, 0x31, 1, 2, 0]);
    packet.extend_from_slice(&[7; 333]);
    packet
}

#[test]
fn srtp_agrees_with_rtc_srtp_across_the_roll_over() {
    for (profile, oracle, salt) in PROFILES {
        let (mut ours, mut theirs_out, mut theirs_in) = both(profile, oracle, salt);
        for n in 0..200_000u32 {
            if n % 997 != 0 && n > 10 && !(65_530..65_545).contains(&(n % 65_536 + 5)) {
                continue; // far apart enough to be quick, near enough to follow the roll-over counter
            }
            let clear = rtp(n as u16);
            let mut sealed = clear.clone();
            ours.seal_rtp(&mut sealed).unwrap();
            assert_eq!(theirs_in.decrypt_rtp(&sealed).unwrap(), clear, "{profile:?} {n}");
            let mut sealed = theirs_out.encrypt_rtp(&clear).unwrap().to_vec();
            let len = ours.open_rtp(&mut sealed).unwrap();
            assert_eq!(sealed[..len], clear, "{profile:?} {n}");
        }
    }
}

#[test]
fn srtcp_agrees_with_rtc_srtp() {
    for (profile, oracle, salt) in PROFILES {
        let (mut ours, mut theirs_out, mut theirs_in) = both(profile, oracle, salt);
        for _ in 0..5 {
            let mut clear = Vec::new();
            Writer::new(&mut clear).pli(0x0102_0304, 0x0506_0708);
            let mut sealed = clear.clone();
            ours.seal_rtcp(&mut sealed).unwrap();
            assert_eq!(theirs_in.decrypt_rtcp(&sealed).unwrap(), clear);
            let mut sealed = theirs_out.encrypt_rtcp(&clear).unwrap().to_vec();
            let len = ours.open_rtcp(&mut sealed).unwrap();
            assert_eq!(sealed[..len], clear);
        }
    }
}

#[test]
fn a_changed_bit_anywhere_in_a_protected_packet_is_refused_and_disturbs_nothing() {
    for (profile, oracle, salt) in PROFILES {
        let (mut ours, mut theirs, _) = both(profile, oracle, salt);
        let sealed = theirs.encrypt_rtp(&rtp(1)).unwrap().to_vec();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(ours.open_rtp(&mut changed).is_err(), "bit {bit}");
        }
        let mut control = Vec::new();
        Writer::new(&mut control).pli(1, 2);
        let sealed_control = theirs.encrypt_rtcp(&control).unwrap().to_vec();
        for bit in 0..sealed_control.len() * 8 {
            let mut changed = sealed_control.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(ours.open_rtcp(&mut changed).is_err(), "bit {bit}");
        }
        assert!(ours.open_rtp(&mut sealed.clone()).is_ok());
        assert!(ours.open_rtcp(&mut sealed_control.clone()).is_ok());
    }
}

#[test]
fn pf_12_a_replayed_packet_is_refused_and_a_late_one_accepted() {
    for (profile, oracle, salt) in PROFILES {
        let (mut ours, mut theirs, _) = both(profile, oracle, salt);
        let mut sealed: Vec<Vec<u8>> = (0..300)
            .map(|n| theirs.encrypt_rtp(&rtp(n)).unwrap().to_vec())
            .collect();
        let late = sealed.remove(250);
        for packet in &sealed {
            ours.open_rtp(&mut packet.clone()).unwrap();
        }
        assert!(ours.open_rtp(&mut late.clone()).is_ok());
        assert_eq!(ours.open_rtp(&mut late.clone()), Err(SrtpError::Replayed));
        assert_eq!(ours.open_rtp(&mut sealed[298].clone()), Err(SrtpError::Replayed));
        assert_eq!(
            ours.open_rtp(&mut sealed[0].clone()),
            Err(SrtpError::Replayed),
            "too old to tell"
        );
    }
}

#[test]
fn a_packet_index_is_never_used_twice_for_sealing() {
    for (profile, oracle, salt) in PROFILES {
        let (mut ours, ..) = both(profile, oracle, salt);
        for sequence in [1, 2, 4, 3] {
            ours.seal_rtp(&mut rtp(sequence)).unwrap();
        }
        for sequence in [1, 2, 3, 4] {
            assert_eq!(ours.seal_rtp(&mut rtp(sequence)), Err(SrtpError::IndexReused));
        }
    }
}

#[test]
fn rely_11_a_repeatable_packet_is_sealed_again_for_a_while_and_only_if_the_same_comes_out() {
    for (profile, oracle, salt) in PROFILES {
        let (mut ours, ..) = both(profile, oracle, salt);
        let mut seal = |mut packet: Vec<u8>, repeatable: bool| {
            let sealed = match repeatable {
                true => ours.seal_last_repeatable_rtp(&mut packet, 0),
                false => ours.seal_rtp(&mut packet),
            };
            sealed.map(|()| packet.clone()).map_err(|error| (error, packet.len()))
        };
        let first: Vec<_> = (1..=4).map(|sequence| seal(rtp(sequence), true).unwrap()).collect();
        for sequence in [4, 2, 2, 1] {
            assert_eq!(seal(rtp(sequence), true).unwrap(), first[usize::from(sequence) - 1]);
        }
        // All but number and SSRC, with which it would be another packet.
        for at in (0..rtp(3).len()).filter(|at| ![2, 3, 8, 9, 10, 11].contains(at)) {
            let mut changed = rtp(3);
            changed[at] ^= 4;
            // One that is malformed is none. Nothing is left of the others.
            match seal(changed, true) {
                Err((SrtpError::IndexReused, left)) => assert_eq!(left, 0),
                other => assert!(matches!(other, Err((SrtpError::Malformed, _))), "byte {at}"),
            }
        }
        let len = rtp(3).len();
        assert_eq!(seal(rtp(3), false), Err((SrtpError::IndexReused, len)));
        assert_eq!(seal(rtp(5), false).map(|_| ()), Ok(()));
        assert_eq!(seal(rtp(5), true), Err((SrtpError::IndexReused, len)));
        for sequence in 6..40 {
            seal(rtp(sequence), true).unwrap();
        }
        assert!(seal(rtp(2), true).is_err(), "too long ago");
    }
}

#[test]
fn pf_26_forged_packets_of_many_streams_leave_no_state() {
    let (mut ours, mut theirs, _) = both(Profile::AeadAes128Gcm, ProtectionProfile::AeadAes128Gcm, 12);
    for ssrc in 0..100_000u32 {
        let mut forged = rtp(1);
        forged[8..12].copy_from_slice(&ssrc.to_be_bytes());
        forged.extend_from_slice(&[0; 16]);
        assert_eq!(ours.open_rtp(&mut forged), Err(SrtpError::Authentication));
    }
    // Had the forgeries taken places, the stream limit would be reached.
    assert!(
        ours.open_rtp(&mut theirs.encrypt_rtp(&rtp(1)).unwrap().to_vec())
            .is_ok()
    );
}

#[test]
fn stun_requests_made_by_rtc_stun_are_understood_and_verified() {
    let client = common::Client::new(sfu_relay::engine::SessionId(1), 0);
    let request = client.check_with("ours:theirs", "secret-password-of-24-chr", true);
    let parsed = BindingRequest::parse(&request).unwrap();
    assert_eq!(
        (parsed.local_ufrag, parsed.remote_ufrag, parsed.use_candidate),
        ("ours", "theirs", true)
    );
    assert!(parsed.verify(&integrity_key("secret-password-of-24-chr")));
    assert!(!parsed.verify(&integrity_key("another-password-of-24-ch")));
    assert!(
        !BindingRequest::parse(&client.check_with("a:b", "x", false))
            .unwrap()
            .use_candidate
    );
}

#[test]
fn a_changed_bit_in_a_stun_request_is_noticed() {
    let client = common::Client::new(sfu_relay::engine::SessionId(1), 0);
    let request = client.check_with("ours:theirs", "secret-password-of-24-chr", true);
    for bit in 0..request.len() * 8 {
        let mut changed = request.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(
            BindingRequest::parse(&changed).is_err(),
            "the fingerprint covers bit {bit}"
        );
    }
    assert_eq!(
        BindingRequest::parse(&request[..request.len() - 8]).unwrap_err(),
        StunError::Malformed
    );
}

#[test]
fn reports_and_feedback_read_the_same_by_rtc_rtcp() {
    let block = ReportBlock {
        ssrc: 9,
        fraction_lost: 17,
        cumulative_lost: 300,
        highest_sequence: 70_000,
        jitter: 12,
        last_sr: 0xAABB_CCDD,
        delay_since_last_sr: 65_536,
    };
    let report = SenderReport {
        ssrc: 1,
        ntp: 0x0102_0304_0506_0708,
        rtp: 90_000,
        packets: 3,
        octets: 4_000,
    };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes);
    writer.sender_report(&report);
    writer.cname(1, "conclave");
    writer.receiver_report(2, &[block]);
    writer.nack(3, 4, [65_534, 65_535, 0, 17, 18]);
    writer.pli(5, 6);
    writer.goodbye(7);

    let packets = rtc_rtcp::packet::unmarshal(&mut &bytes[..]).unwrap();
    let text: Vec<String> = packets.iter().map(|packet| format!("{packet:?}")).collect();
    assert_eq!(packets.len(), 6, "{text:#?}");
    let any = |index: usize| packets[index].as_any();
    let sr = any(0).downcast_ref::<rtc_rtcp::sender_report::SenderReport>().unwrap();
    assert_eq!((sr.ssrc, sr.ntp_time, sr.rtp_time), (1, report.ntp, 90_000));
    assert_eq!((sr.packet_count, sr.octet_count), (3, 4_000));
    let rr = any(2)
        .downcast_ref::<rtc_rtcp::receiver_report::ReceiverReport>()
        .unwrap();
    assert_eq!((rr.reports[0].fraction_lost, rr.reports[0].total_lost), (17, 300));
    assert_eq!((rr.reports[0].last_sequence_number, rr.reports[0].jitter), (70_000, 12));
    let nack = any(3)
        .downcast_ref::<rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack>()
        .unwrap();
    let lost: Vec<u16> = nack.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
    assert_eq!(lost, [65_534, 65_535, 0, 17, 18]);

    let ours: Vec<Rtcp<'_>> = parse(&bytes).collect();
    assert_eq!(ours[..2], [Rtcp::SenderReport(report), Rtcp::Report(block)]);
    let Rtcp::Nack { media_ssrc: 4, entries } = ours[2] else {
        panic!("{ours:?}")
    };
    assert_eq!(nacked(entries).collect::<Vec<_>>(), lost);
    assert_eq!(ours[3..], [Rtcp::Pli { media_ssrc: 6 }, Rtcp::Goodbye { ssrc: 7 }]);
}

/// Sequence numbers and arrival times in microseconds, as rtc-rtcp reads them from our feedback.
fn feedback_read_by_oracle(bytes: &[u8]) -> Vec<(u16, i64)> {
    use rtc_rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};
    let feedback = TransportLayerCc::unmarshal(&mut &bytes[..]).unwrap();
    let mut received = Vec::new();
    for chunk in &feedback.packet_chunks {
        match chunk {
            PacketStatusChunk::RunLengthChunk(run) => {
                received.extend(std::iter::repeat_n(
                    run.packet_status_symbol,
                    usize::from(run.run_length),
                ));
            }
            PacketStatusChunk::StatusVectorChunk(vector) => received.extend(vector.symbol_list.iter().copied()),
        }
    }
    received.truncate(usize::from(feedback.packet_status_count));
    let mut at = i64::from(feedback.reference_time) * 64_000;
    let mut deltas = feedback.recv_deltas.iter();
    let mut out = Vec::new();
    for (i, symbol) in received.into_iter().enumerate() {
        if symbol != SymbolTypeTcc::PacketNotReceived {
            at += deltas.next().unwrap().delta;
            out.push((feedback.base_sequence_number.wrapping_add(i as u16), at));
        }
    }
    assert!(deltas.next().is_none());
    out
}

#[test]
fn transport_wide_feedback_tells_each_arrival_to_a_quarter_of_a_millisecond() {
    let start = Instant::now();
    let mut recorder = Recorder::new(start);
    let mut sent = Vec::new();
    for n in 0..900u64 {
        // Losses, bursts, pauses of half a second, and a roll-over.
        if n % 11 == 3 || (200..230).contains(&n) {
            continue;
        }
        let at = Duration::from_micros(n * 1_700 + (n / 300) * 500_000 + (n % 7) * 90);
        let sequence = 65_000u16.wrapping_add(n as u16);
        recorder.arrived(sequence, start + at);
        sent.push((sequence, at.as_micros() as i64));
    }
    let mut got = Vec::new();
    while let Some(feedback) = recorder.feedback() {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes).transport_cc(1, 2, &feedback);
        got.extend(feedback_read_by_oracle(&bytes));
    }
    assert_eq!(got.len(), sent.len());
    for (got, sent) in got.iter().zip(&sent) {
        assert_eq!(got.0, sent.0);
        assert!((got.1 - sent.1).abs() <= 250, "{got:?} {sent:?}");
    }
}
