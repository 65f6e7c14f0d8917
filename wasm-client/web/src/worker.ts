// The worker bundle; see sdk/worker.
import "./sdk/worker/worker";
