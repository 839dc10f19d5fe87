//! What Python sees of the native gateway. Types and conversions only; `python/mohhos/_native.pyi` says what each does.

mod errors;
mod events;
mod gateway;
mod hashing;
mod json;
mod memory;
mod observed;
mod policy;
mod principal;
mod records;
mod taps;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The module `mohhos._native`.
#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    memory::keep_for_reuse();
    let build_time_us: i64 = env!("MOHHOS_BUILD_TIME_US").parse().unwrap_or(0);
    module.add("BUILD_TIME_US", build_time_us)?;
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add("NativeError", module.py().get_type::<errors::NativeError>())?;
    module.add("PlanError", module.py().get_type::<errors::PlanError>())?;
    module.add_class::<gateway::Gateway>()?;
    module.add_class::<taps::Tap>()?;
    module.add_function(wrap_pyfunction!(policy::built_in_roles, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::hash_secret, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::hash_password, module)?)?;
    module.add_function(wrap_pyfunction!(hashing::verify_password, module)?)
}
