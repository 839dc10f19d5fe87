//! Stamps the time of the build: a gateway without a battery-backed clock starts no earlier.

fn main() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    println!("cargo:rustc-env=MOHHOS_BUILD_TIME_US={}", now.as_micros());
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
}
