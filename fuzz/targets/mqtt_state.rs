//! Any bytes as the state of a session in a checkpoint: an error, or a state that exports to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mohhos_mqtt::session::SessionState;

fuzz_target!(|bytes: &[u8]| {
    let Ok(state) = SessionState::import(bytes) else { return };
    let mut exported = Vec::new();
    state.export(u64::MAX, &mut exported);
    let again = SessionState::import(&exported).expect("what was exported can be imported");
    assert!(again.deliveries().eq(state.deliveries()));
    assert!(again.inbound_ids().eq(state.inbound_ids()));
});
