//! A stream of packets, as a broker sends it: the first byte chooses the version.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Some((first, stream)) = data.split_first() {
        weft_mqtt::fuzz::packets(first & 1 == 1, stream);
    }
});
