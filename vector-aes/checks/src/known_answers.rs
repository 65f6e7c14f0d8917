//! The test cases with nonces of 12 bytes in McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B.

use vector_aes::{AesGcm, TAG_LEN};

struct Case {
    key: &'static str,
    nonce: &'static str,
    aad: &'static str,
    plain: &'static str,
    sealed: &'static str,
    tag: &'static str,
}

const NOUGHTS: &str = "00000000000000000000000000000000";
const NONCE: &str = "cafebabefacedbaddecaf888";
const AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const KEY: &str = "feffe9928665731c6d6a8f9467308308";
const PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525\
                     b16aedf5aa0de657ba637b391aafd255";
const SEALED_128: &str = "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84aa05\
                          1ba30b396a0aac973d58e091473f5985";
const SEALED_256: &str = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838\
                          c5f61e6393ba7a0abcc9f662898015ad";

const fn case(key: &'static str, plain: &'static str, sealed: &'static str, tag: &'static str) -> Case {
    Case {
        key,
        nonce: "000000000000000000000000",
        aad: "",
        plain,
        sealed,
        tag,
    }
}

/// Their numbers there: 1 to 4 and 13 to 16. A key that is given once is taken twice for AES-256.
const AES_128: [Case; 4] = [
    case(NOUGHTS, "", "", "58e2fccefa7e3061367f1d57a4e7455a"),
    case(
        NOUGHTS,
        NOUGHTS,
        "0388dace60b6a392f328c2b971b2fe78",
        "ab6e47d42cec13bdf53a67b21257bddf",
    ),
    Case {
        nonce: NONCE,
        ..case(KEY, PLAIN, SEALED_128, "4d5c2af327cd64a62cf35abd2ba6fab4")
    },
    Case {
        nonce: NONCE,
        aad: AAD,
        ..case(KEY, PLAIN, SEALED_128, "5bc94fbc3221a5db94fae95ae7121a47")
    },
];
const AES_256: [Case; 4] = [
    case(NOUGHTS, "", "", "530f8afbc74536b9a963b4f1c4cb738b"),
    case(
        NOUGHTS,
        NOUGHTS,
        "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919",
    ),
    Case {
        nonce: NONCE,
        ..case(KEY, PLAIN, SEALED_256, "b094dac5d93471bdec1a502270e3cc6c")
    },
    Case {
        nonce: NONCE,
        aad: AAD,
        ..case(KEY, PLAIN, SEALED_256, "76fc6ece0f4e1768cddf8853bb2d551b")
    },
];

pub fn come_out() {
    for (cases, times) in [(AES_128, 1), (AES_256, 2)] {
        for case in cases {
            let key = AesGcm::new(&bytes(case.key).repeat(times)).expect("a key");
            let nonce = bytes(case.nonce).try_into().expect("12 bytes");
            let tag: [u8; TAG_LEN] = bytes(case.tag).try_into().expect("16 bytes");
            let (mut text, mut sealed, aad) = (bytes(case.plain), bytes(case.sealed), bytes(case.aad));
            // With associated data, the cases have a text that does not fill its last block.
            let length = if aad.is_empty() { text.len() } else { 60 };
            text.truncate(length);
            sealed.truncate(length);
            let plain = text.clone();
            assert_eq!(key.seal(&nonce, &aad, &mut text), Ok(tag));
            assert_eq!(text, sealed);
            assert_eq!(key.open(&nonce, &aad, &mut text, &tag), Ok(()));
            assert_eq!(text, plain);
        }
    }
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal")
}
