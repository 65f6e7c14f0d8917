#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use hsm_adapter::SoftwareKeystore;
use signed_note::{StandardVerifier, VerifierList};
use tlog_tiles::{Checkpoint, Hash, check_record, check_tree};

use super::*;

const ORIGIN: &str = "log.example/conclave";

struct Bench {
    folder: tempfile::TempDir,
    store: Store,
    keystore: Arc<dyn Keystore>,
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("db")).await.unwrap();
        let keystore: Arc<dyn Keystore> = Arc::new(SoftwareKeystore::open(&folder.path().join("keys")).unwrap());
        Self {
            folder,
            store,
            keystore,
        }
    }

    async fn open(&self) -> Result<Log, Error> {
        Log::open(
            self.store.clone(),
            self.keystore.clone(),
            ORIGIN,
            &self.folder.path().join("log"),
        )
        .await
    }

    async fn open_on(&self, folder: Arc<dyn Folder>) -> Result<Log, Error> {
        Log::open_with(self.store.clone(), self.keystore.clone(), ORIGIN, folder).await
    }

    /// Opens, and once more if the first time fails at the injected write.
    async fn open_twice(&self, folder: &Arc<Faulty>, case: &str) -> Log {
        match self.open_on(folder.clone()).await {
            Ok(log) => log,
            Err(Error::Storage(StorageError::LogFile { .. })) => self.open_on(folder.clone()).await.unwrap(),
            Err(e) => panic!("{case}: {e}"),
        }
    }

    async fn append(&self, count: usize) {
        let mut db = self.store.write().await.unwrap();
        for _ in 0..count {
            let index = tree::size(&mut db).await.unwrap();
            append(
                &mut db,
                &LogEntry::Certificate {
                    der: format!("entry {index}").into_bytes(),
                },
            )
            .await
            .unwrap();
        }
        db.commit().await.unwrap();
    }

    fn file(&self, path: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join("log").join(path)).ok()
    }
}

/// With the reference verifier of signed notes, not our own code.
fn open_checkpoint(log: &Log, note: &str) -> Checkpoint {
    let key = ed25519_key(log);
    let verifier = StandardVerifier::new(&key).unwrap();
    let note = Note::from_bytes(note.as_bytes()).unwrap();
    note.verify(&VerifierList::new(vec![Box::new(verifier)])).unwrap();
    Checkpoint::from_bytes(note.text()).unwrap()
}

use base64::Engine as _;
use signed_note::Note;

fn ed25519_key(log: &Log) -> String {
    let typed = [&[1][..], log.public_key().as_bytes()].concat();
    let id = signed_note::key_id(ORIGIN, &typed);
    format!(
        "{ORIGIN}+{id:08x}+{}",
        base64::engine::general_purpose::STANDARD.encode(typed)
    )
}

fn check_receipt(log: &Log, receipt: &Receipt) {
    let checkpoint = open_checkpoint(log, &receipt.checkpoint);
    let proof: Vec<Hash> = receipt
        .proof
        .iter()
        .map(|h| Hash(h.as_slice().try_into().unwrap()))
        .collect();
    let leaf = tlog_tiles::record_hash(receipt.entry.as_slice());
    check_record(&proof, checkpoint.size(), *checkpoint.hash(), receipt.index, leaf).unwrap();
}

#[tokio::test]
async fn tlog_4_every_entry_has_a_receipt_that_an_independent_verifier_accepts() {
    let bench = Bench::new().await;
    let log = bench.open().await.unwrap();
    let mut appended = 0;
    // Around powers of two and around a full tile.
    for step in [1, 1, 1, 2, 3, 247, 1, 1, 255] {
        bench.append(step).await;
        appended += step as u64;
        for index in [0, appended / 2, appended - 1] {
            let receipt = log.receipt(index).await.unwrap();
            assert_eq!(
                receipt.entry.as_slice(),
                LogEntry::Certificate {
                    der: format!("entry {index}").into_bytes()
                }
                .to_bytes()
                .unwrap()
            );
            check_receipt(&log, &receipt);
        }
    }
    assert!(matches!(log.receipt(appended).await, Err(Error::Bug(_))));
}

#[tokio::test]
async fn tlog_6_checkpoints_are_consistent_with_those_before() {
    let bench = Bench::new().await;
    let log = bench.open().await.unwrap();
    let mut checkpoints = Vec::new();
    for step in [1, 2, 5, 250, 3] {
        bench.append(step).await;
        log.publish().await.unwrap();
        checkpoints.push(open_checkpoint(&log, &log.checkpoint().await));
    }
    let mut db = bench.store.read().await.unwrap();
    let last = checkpoints.last().unwrap();
    for old in &checkpoints[..4] {
        let mut hashes = std::collections::HashMap::new();
        for pos in 0..tlog_tiles::stored_hash_count(last.size()) {
            let hash: Vec<u8> = sqlx::query_scalar("SELECT hash FROM log_node WHERE pos = ?")
                .bind(signed(pos))
                .fetch_one(&mut *db)
                .await
                .unwrap();
            hashes.insert(pos, Hash(hash.try_into().unwrap()));
        }
        struct Map(std::collections::HashMap<u64, Hash>);
        impl tlog_tiles::HashReader for Map {
            fn read_hashes(&self, positions: &[u64]) -> Result<Vec<Hash>, tlog_tiles::Error> {
                Ok(positions.iter().map(|p| self.0[p]).collect())
            }
        }
        let proof = tlog_tiles::prove_tree(last.size(), old.size(), &Map(hashes)).unwrap();
        check_tree(&proof, last.size(), *last.hash(), old.size(), *old.hash()).unwrap();
    }
}

use crate::store::signed;

#[tokio::test]
async fn tlog_3_the_folder_alone_lets_an_outsider_recompute_the_root() {
    let bench = Bench::new().await;
    let log = bench.open().await.unwrap();
    for step in [1, 255, 300] {
        bench.append(step).await;
        log.publish().await.unwrap();
    }
    let checkpoint = open_checkpoint(&log, &String::from_utf8(bench.file("checkpoint").unwrap()).unwrap());
    assert_eq!(checkpoint.size(), 556);
    // Two full tiles and a partial one; the level above holds two hashes.
    let level0: Vec<u8> = ["tile/0/000", "tile/0/001", "tile/0/002.p/44"]
        .iter()
        .flat_map(|p| bench.file(p).unwrap())
        .collect();
    let entries: Vec<u8> = ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/44"]
        .iter()
        .flat_map(|p| bench.file(p).unwrap())
        .collect();
    assert_eq!(bench.file("tile/1/000.p/2").unwrap().len(), 64);
    let mut rest = &entries[..];
    let mut leaves = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<2>() {
        let (entry, tail) = tail.split_at(u16::from_be_bytes(*length).into());
        leaves.push(tlog_tiles::record_hash(entry));
        rest = tail;
    }
    assert_eq!(level0, leaves.iter().flat_map(|h| h.0).collect::<Vec<u8>>());
    assert!(root_of(&leaves) == *checkpoint.hash());
    // Partial tiles of earlier sizes are gone.
    assert!(bench.file("tile/0/000.p/1").is_none() && bench.file("tile/entries/000.p/1").is_none());
}

/// RFC 6962 section 2.1, written down once more.
fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            tlog_tiles::node_hash(root_of(&leaves[..split]), root_of(&leaves[split..]))
        }
    }
}

#[tokio::test]
async fn tiles_of_every_width_up_to_the_checkpoint_are_served_and_none_beyond() {
    let bench = Bench::new().await;
    let log = bench.open().await.unwrap();
    bench.append(300).await;
    log.publish().await.unwrap();
    bench.append(1).await;
    let full = log.tile(Some(0), 0, 256).await.unwrap().unwrap();
    for width in [1, 7, 255] {
        assert_eq!(
            log.tile(Some(0), 0, width).await.unwrap().unwrap(),
            full[..32 * width as usize]
        );
    }
    assert_eq!(log.tile(Some(1), 0, 1).await.unwrap().unwrap().len(), 32);
    assert!(log.tile(None, 1, 44).await.unwrap().is_some());
    // The 301st entry is stored and not published.
    for (level, n, width) in [
        (None, 1, 45),
        (Some(0), 1, 45),
        (Some(0), 1, 256),
        (Some(1), 0, 2),
        (Some(2), 0, 1),
        (Some(0), u64::MAX, 256),
        (Some(63), 0, 1),
        (Some(0), 0, 0),
        (Some(0), 0, 257),
    ] {
        assert!(
            log.tile(level, n, width).await.unwrap().is_none(),
            "{level:?} {n} {width}"
        );
    }
}

#[tokio::test]
async fn tlog_2_an_entry_that_a_bundle_cannot_hold_is_refused_and_nothing_is_stored() {
    let bench = Bench::new().await;
    let log = bench.open().await.unwrap();
    bench.append(1).await;
    let mut db = bench.store.write().await.unwrap();
    let huge = LogEntry::Certificate { der: vec![0; 65_536] };
    assert!(matches!(
        append(&mut db, &huge).await,
        Err(StorageError::EntryTooLong(_))
    ));
    db.commit().await.unwrap();
    assert_eq!(log.publish().await.unwrap(), 1);
}

#[tokio::test]
async fn tlog_7_an_entry_is_on_the_log_exactly_if_its_transaction_was_committed() {
    let bench = Bench::new().await;
    let log = bench.open().await.unwrap();
    bench.append(2).await;
    {
        let mut db = bench.store.write().await.unwrap();
        append(
            &mut db,
            &LogEntry::Certificate {
                der: b"rolled back".to_vec(),
            },
        )
        .await
        .unwrap();
    }
    assert_eq!(log.publish().await.unwrap(), 2);
    bench.append(1).await;
    check_receipt(&log, &log.receipt(2).await.unwrap());
}

#[tokio::test]
async fn tlog_5_an_old_database_under_a_newer_checkpoint_is_refused() {
    let bench = Bench::new().await;
    bench.append(3).await;
    bench.open().await.unwrap();
    // Another history of the same length or shorter: what restoring a backup and going on gives.
    let other = Bench::new().await;
    for entries in [0, 2, 1, 4] {
        if entries > 0 {
            let mut db = other.store.write().await.unwrap();
            append(&mut db, &LogEntry::Certificate { der: vec![9; entries] })
                .await
                .unwrap();
            db.commit().await.unwrap();
        }
        let opened = Log::open(
            other.store.clone(),
            bench.keystore.clone(),
            ORIGIN,
            &bench.folder.path().join("log"),
        )
        .await;
        assert!(matches!(
            opened,
            Err(Error::Setup(SetupError::LogAhead { published: 3, .. }))
        ));
    }
    bench.open().await.unwrap();
}

#[tokio::test]
async fn a_lost_or_damaged_folder_is_derived_again() {
    let bench = Bench::new().await;
    bench.append(257).await;
    let log = bench.open().await.unwrap();
    let whole: Vec<_> = [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/1",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/1",
    ]
    .map(|p| (p, bench.file(p).unwrap()))
    .into();
    drop(log);
    let root = bench.folder.path().join("log");
    std::fs::write(root.join("tile/0/000"), b"damaged").unwrap();
    std::fs::write(root.join("checkpoint"), b"half a checkp").unwrap();
    std::fs::remove_file(root.join("tile/entries/000")).unwrap();
    bench.open().await.unwrap();
    for (path, bytes) in &whole {
        assert_eq!(bench.file(path).as_ref(), Some(bytes), "{path}");
    }
    std::fs::remove_dir_all(&root).unwrap();
    bench.open().await.unwrap();
    for (path, bytes) in &whole {
        assert_eq!(bench.file(path).as_ref(), Some(bytes), "{path}");
    }
}

/// A folder in memory whose n-th write fails, with or without effect.
#[derive(Default)]
struct Faulty {
    files: StdMutex<BTreeMap<String, Vec<u8>>>,
    writes: AtomicUsize,
    fail_at: Option<usize>,
    but_stored: bool,
    checkpoints: StdMutex<Vec<String>>,
}

impl Folder for Faulty {
    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let fails = Some(self.writes.fetch_add(1, Ordering::Relaxed)) == self.fail_at;
        if !fails || self.but_stored {
            self.files.lock().unwrap().insert(path.to_owned(), bytes.to_vec());
            if path == files::CHECKPOINT {
                self.checkpoints
                    .lock()
                    .unwrap()
                    .push(String::from_utf8(bytes.to_vec()).unwrap());
            }
        }
        if fails {
            return Err(StorageError::LogFile {
                path: path.into(),
                source: std::io::Error::other("injected"),
            });
        }
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.files.lock().unwrap().get(path).cloned())
    }

    fn remove(&self, path: &str) {
        self.files.lock().unwrap().remove(path);
    }

    fn path(&self) -> std::path::PathBuf {
        "memory".into()
    }
}

/// The table: every write of a publication x {failed and not stored, failed but stored} x {process goes on, process restarts}.
#[tokio::test]
async fn tlog_8_a_failure_at_any_write_is_mended_without_a_second_history() {
    for fail_at in 0..10 {
        for but_stored in [false, true] {
            for restarts in [false, true] {
                let bench = Bench::new().await;
                let folder = Arc::new(Faulty {
                    fail_at: Some(fail_at),
                    but_stored,
                    ..Faulty::default()
                });
                bench.append(255).await;
                let case = format!("write {fail_at}, stored: {but_stored}, restart: {restarts}");
                // Opening derives 255 (2 writes) and signs (1); then 257 has 5 tiles and a checkpoint; a restart signs again.
                let log = bench.open_twice(&folder, &case).await;
                bench.append(2).await;
                let first = log.receipt(256).await;
                let log = if restarts {
                    bench.open_twice(&folder, &case).await
                } else {
                    log
                };
                let receipt = match first {
                    Ok(receipt) => receipt,
                    Err(_) => log.receipt(256).await.unwrap(),
                };
                check_receipt(&log, &receipt);
                // What lies in the folder is complete for its checkpoint.
                let note = String::from_utf8(folder.get("checkpoint").unwrap().unwrap()).unwrap();
                let checkpoint = open_checkpoint(&log, &note);
                assert_eq!(checkpoint.size(), 257, "{case}");
                for path in [
                    "tile/0/000",
                    "tile/0/001.p/1",
                    "tile/1/000.p/1",
                    "tile/entries/000",
                    "tile/entries/001.p/1",
                ] {
                    assert!(folder.get(path).unwrap().is_some(), "{case}: {path}");
                }
                // And whatever was ever readable as a checkpoint is one history: one root for each size.
                let mut roots = BTreeMap::new();
                for note in folder.checkpoints.lock().unwrap().iter() {
                    let checkpoint = open_checkpoint(&log, note);
                    let root = roots.entry(checkpoint.size()).or_insert(*checkpoint.hash());
                    assert!(*root == *checkpoint.hash(), "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn an_origin_that_cannot_name_a_key_is_the_operators_mistake() {
    let bench = Bench::new().await;
    for bad in ["", "two words", "a+b"] {
        let opened = Log::open(
            bench.store.clone(),
            bench.keystore.clone(),
            bad,
            &bench.folder.path().join("log"),
        )
        .await;
        assert!(matches!(opened, Err(Error::Setup(SetupError::LogOrigin(_)))), "{bad:?}");
    }
}

#[test]
fn the_known_answer_of_the_signed_note_key_id() {
    // C2SP: PeterNeumann's key in the format's own example has type 1.
    let key = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    StandardVerifier::new(key).unwrap();
}
