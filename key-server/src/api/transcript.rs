//! A room's public handshake, for the auditor.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use e2ee_core::wire::Bytes;
use e2ee_core::wire::transcript::{Epoch, EpochEvidence, Generation, TRANSCRIPT_VERSION, Transcript};

use super::problem::Refused;
use crate::clock::now;
use crate::delivery;
use crate::ids;
use crate::server::Shared;
use crate::store::{Db, groups, sessions};

/// DLVR-11: whoever has a session in the room may have its transcript; it holds no secret.
pub(super) async fn export(
    State(shared): State<Arc<Shared>>,
    Path(room): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Transcript>, Refused> {
    let token = bearer(&headers).ok_or(Refused::SessionInvalid)?;
    let _turn = shared.store.turn().await;
    // One view of the database, so that a commit under way is in the bundle whole or not at all.
    let mut db = shared.store.read().await?;
    let session = sessions::find(&mut db, &ids::token_hash(token), &room, now().0).await?;
    let session = session.ok_or(Refused::SessionInvalid)?;
    let buckets = delivery::buckets(&shared, session.token_hash);
    let allowed = {
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.transcripts.take(Instant::now())
    };
    if !allowed {
        return Err(Refused::RateLimited);
    }
    let profile = sessions::room_profile(&mut db, &room)
        .await?
        .ok_or(Refused::RoomNotFound)?;
    let mut generations = Vec::new();
    for group in groups::generations(&mut db, &room).await? {
        generations.extend(generation(&mut db, group).await?);
    }
    let chain = |chain: &[Vec<u8>]| chain.iter().map(|c| Bytes(c.clone())).collect();
    Ok(Json(Transcript {
        version: TRANSCRIPT_VERSION,
        room,
        trust_root: shared.identity.root().der.clone().into(),
        service_chain: chain(&shared.identity.service(profile).chain),
        log_chain: chain(&shared.identity.log_chain),
        log_origin: shared.log.origin().to_owned(),
        generations,
    }))
}

/// None for a generation that its creator never made.
async fn generation(db: &mut Db, group: groups::Group) -> Result<Option<Generation>, Refused> {
    let Some(genesis) = group.genesis else { return Ok(None) };
    let mut epochs = Vec::new();
    for commit in groups::commits_from(db, &group.group_id, 0).await? {
        let proposals = groups::proposals(db, &group.group_id, commit.epoch).await?;
        epochs.push(Epoch {
            epoch: commit.epoch + 1,
            proposals: proposals.into_iter().map(|p| p.message.into()).collect(),
            commit: commit.message.into(),
            stored_at: commit.stored_at,
            evidence: EpochEvidence {
                log_index: commit.log_index,
                roster_salt: commit.roster_salt.into(),
            },
        });
    }
    Ok(Some(Generation {
        group_id: group.group_id.into(),
        group_info: genesis.group_info.into(),
        genesis: EpochEvidence {
            log_index: genesis.log_index,
            roster_salt: genesis.roster_salt.into(),
        },
        epochs,
    }))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .strip_prefix("Bearer ")
}
