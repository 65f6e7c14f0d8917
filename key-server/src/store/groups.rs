//! Groups, proposals and commits: the transcript of every room.

use super::{Db, signed, unsigned};
use crate::error::StorageError;

/// A generation of a room.
pub(crate) struct Group {
    pub(crate) group_id: Vec<u8>,
    pub(crate) generation: u64,
    /// Absent while its creator has not answered.
    pub(crate) genesis: Option<Genesis>,
    pub(crate) ended: bool,
}

pub(crate) struct Genesis {
    pub(crate) group_info: Vec<u8>,
    pub(crate) log_index: u64,
    pub(crate) roster_salt: Vec<u8>,
    pub(crate) created_at: u64,
}

/// A proposal of the service.
pub(crate) struct Proposal {
    pub(crate) message: Vec<u8>,
    /// Of an Add: the log's index of the certificate in it.
    pub(crate) certificate_index: Option<u64>,
}

pub(crate) struct Commit {
    /// The epoch in which it was made.
    pub(crate) epoch: u64,
    pub(crate) message: Vec<u8>,
    pub(crate) log_index: u64,
    pub(crate) roster_salt: Vec<u8>,
    pub(crate) stored_at: u64,
}

pub(crate) struct NewCommit<'a> {
    pub(crate) group_id: &'a [u8],
    pub(crate) epoch: u64,
    pub(crate) message: &'a [u8],
    pub(crate) welcome: Option<&'a [u8]>,
    pub(crate) log_index: u64,
    pub(crate) roster_salt: &'a [u8; 32],
    pub(crate) stored_at: u64,
}

type GroupRow = (
    Vec<u8>,
    i64,
    Option<Vec<u8>>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
);

pub(crate) async fn open_group(db: &mut Db, group_id: &[u8], room: &str, generation: u64) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO mls_group (group_id, room, generation) VALUES (?, ?, ?)")
        .bind(group_id)
        .bind(room)
        .bind(signed(generation))
        .execute(db)
        .await?;
    Ok(())
}

/// Records the genesis, once: false when there is one already or the group has ended.
pub(crate) async fn set_genesis(
    db: &mut Db,
    group_id: &[u8],
    group_info: &[u8],
    log_index: u64,
    roster_salt: &[u8; 32],
    created_at: u64,
) -> Result<bool, StorageError> {
    let done = sqlx::query(
        "UPDATE mls_group SET group_info = ?, log_index = ?, roster_salt = ?, created_at = ? WHERE group_id = ? AND group_info IS NULL AND ended_at IS NULL",
    )
    .bind(group_info)
    .bind(signed(log_index))
    .bind(&roster_salt[..])
    .bind(signed(created_at))
    .bind(group_id)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(crate) async fn end_group(db: &mut Db, group_id: &[u8], now: u64) -> Result<(), StorageError> {
    sqlx::query("UPDATE mls_group SET ended_at = ? WHERE group_id = ? AND ended_at IS NULL")
        .bind(signed(now))
        .bind(group_id)
        .execute(db)
        .await?;
    Ok(())
}

/// All generations of a room, oldest first.
pub(crate) async fn generations(db: &mut Db, room: &str) -> Result<Vec<Group>, StorageError> {
    let rows: Vec<GroupRow> = sqlx::query_as(
        "SELECT group_id, generation, group_info, log_index, roster_salt, created_at, ended_at FROM mls_group WHERE room = ? ORDER BY generation",
    )
    .bind(room)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(group).collect()
}

pub(crate) async fn latest(db: &mut Db, room: &str) -> Result<Option<Group>, StorageError> {
    let row: Option<GroupRow> = sqlx::query_as(
        "SELECT group_id, generation, group_info, log_index, roster_salt, created_at, ended_at FROM mls_group WHERE room = ? ORDER BY generation DESC LIMIT 1",
    )
    .bind(room)
    .fetch_optional(db)
    .await?;
    row.map(group).transpose()
}

fn group(
    (group_id, generation, group_info, log_index, roster_salt, created_at, ended_at): GroupRow,
) -> Result<Group, StorageError> {
    let genesis = match (group_info, log_index, roster_salt, created_at) {
        (Some(group_info), Some(log_index), Some(roster_salt), Some(created_at)) => Some(Genesis {
            group_info,
            log_index: unsigned(log_index)?,
            roster_salt,
            created_at: unsigned(created_at)?,
        }),
        (None, None, None, None) => None,
        _ => return Err(StorageError::Corrupt("a group with half a genesis")),
    };
    Ok(Group {
        group_id,
        generation: unsigned(generation)?,
        genesis,
        ended: ended_at.is_some(),
    })
}

pub(crate) async fn insert_proposal(
    db: &mut Db,
    group_id: &[u8],
    epoch: u64,
    seq: u64,
    proposal: &Proposal,
) -> Result<(), StorageError> {
    sqlx::query("INSERT INTO proposal (group_id, epoch, seq, message, certificate_index) VALUES (?, ?, ?, ?, ?)")
        .bind(group_id)
        .bind(signed(epoch))
        .bind(signed(seq))
        .bind(&proposal.message)
        .bind(proposal.certificate_index.map(signed))
        .execute(db)
        .await?;
    Ok(())
}

/// Proposals sent in an epoch, in order.
pub(crate) async fn proposals(db: &mut Db, group_id: &[u8], epoch: u64) -> Result<Vec<Proposal>, StorageError> {
    let rows: Vec<(Vec<u8>, Option<i64>)> =
        sqlx::query_as("SELECT message, certificate_index FROM proposal WHERE group_id = ? AND epoch = ? ORDER BY seq")
            .bind(group_id)
            .bind(signed(epoch))
            .fetch_all(db)
            .await?;
    rows.into_iter()
        .map(|(message, index)| {
            Ok(Proposal {
                message,
                certificate_index: index.map(unsigned).transpose()?,
            })
        })
        .collect()
}

/// DLVR-1, the compare-and-set: true if this is the first commit for (group, epoch) and the group is open.
pub(crate) async fn insert_commit(db: &mut Db, new: &NewCommit<'_>) -> Result<bool, StorageError> {
    let done = sqlx::query(
        "INSERT INTO mls_commit (group_id, epoch, message, welcome, log_index, roster_salt, stored_at)
         SELECT group_id, ?, ?, ?, ?, ?, ? FROM mls_group
         WHERE group_id = ? AND ended_at IS NULL AND group_info IS NOT NULL
         ON CONFLICT (group_id, epoch) DO NOTHING",
    )
    .bind(signed(new.epoch))
    .bind(new.message)
    .bind(new.welcome)
    .bind(signed(new.log_index))
    .bind(&new.roster_salt[..])
    .bind(signed(new.stored_at))
    .bind(new.group_id)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

type CommitRow = (i64, Vec<u8>, i64, Vec<u8>, i64);

/// Commits made in `from` and later epochs, in order.
pub(crate) async fn commits_from(db: &mut Db, group_id: &[u8], from: u64) -> Result<Vec<Commit>, StorageError> {
    let rows: Vec<CommitRow> = sqlx::query_as(
        "SELECT epoch, message, log_index, roster_salt, stored_at FROM mls_commit WHERE group_id = ? AND epoch >= ? ORDER BY epoch",
    )
    .bind(group_id)
    .bind(signed(from))
    .fetch_all(db)
    .await?;
    rows.into_iter().map(commit).collect()
}

/// The commit that ended an epoch, if it has ended.
pub(crate) async fn commit_of(db: &mut Db, group_id: &[u8], epoch: u64) -> Result<Option<Commit>, StorageError> {
    let row: Option<CommitRow> = sqlx::query_as(
        "SELECT epoch, message, log_index, roster_salt, stored_at FROM mls_commit WHERE group_id = ? AND epoch = ?",
    )
    .bind(group_id)
    .bind(signed(epoch))
    .fetch_optional(db)
    .await?;
    row.map(commit).transpose()
}

fn commit((epoch, message, log_index, roster_salt, stored_at): CommitRow) -> Result<Commit, StorageError> {
    Ok(Commit {
        epoch: unsigned(epoch)?,
        message,
        log_index: unsigned(log_index)?,
        roster_salt,
        stored_at: unsigned(stored_at)?,
    })
}
