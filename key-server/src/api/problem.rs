//! Error answers: a status, a code for machines and words for people. Never what went wrong inside.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use e2ee_core::wire::http::Problem;

use crate::error::{Error, StorageError};

/// Why a request is not answered as asked.
pub(super) enum Refused {
    RoomNotFound,
    NameInvalid(String),
    SessionInvalid,
    RateLimited,
    Malformed(String),
    NotFound,
    Failed(Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let (status, code, message) = match self {
            Self::RoomNotFound => (
                StatusCode::NOT_FOUND,
                "room-not-found",
                "There is no such meeting. Check the link.".into(),
            ),
            Self::NameInvalid(why) => (
                StatusCode::UNPROCESSABLE_ENTITY,
                "name-invalid",
                format!("Choose another name: {why}."),
            ),
            Self::SessionInvalid => (
                StatusCode::UNAUTHORIZED,
                "session-invalid",
                "The session has expired or is not for this meeting. Sign in again.".into(),
            ),
            Self::RateLimited => (
                StatusCode::TOO_MANY_REQUESTS,
                "rate-limited",
                "Too many requests from here. Wait a little.".into(),
            ),
            Self::Malformed(why) => (StatusCode::BAD_REQUEST, "malformed", why),
            Self::NotFound => (StatusCode::NOT_FOUND, "not-found", "There is nothing here.".into()),
            Self::Failed(error) => {
                tracing::error!(%error, "a request failed");
                (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "The server failed. Try again.".into(),
                )
            }
        };
        (
            status,
            Json(Problem {
                code: code.to_owned(),
                message,
            }),
        )
            .into_response()
    }
}
