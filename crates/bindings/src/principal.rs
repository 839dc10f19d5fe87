//! Principals out of Python's dictionaries.

use mohhos_gateway::{Credential, Principal, PrincipalKind};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::native;

/// A `PrincipalSpec`.
pub fn read(spec: &Bound<'_, PyDict>) -> PyResult<Principal> {
    let wrong = |what: &str| native("native-failed", format!("a principal is not usable: {what}"));
    let text = |key: &str| -> PyResult<String> {
        spec.get_item(key)?.ok_or_else(|| wrong(&format!("no {key}")))?.extract()
    };
    let kind = match text("kind")?.as_str() {
        "device" => PrincipalKind::Device,
        "application" => PrincipalKind::Application,
        "adapter" => PrincipalKind::Adapter,
        "operator" => PrincipalKind::Operator,
        other => return Err(wrong(&format!("kind {other:?}"))),
    };
    let credential = match (spec.get_item("secret")?, spec.get_item("password")?) {
        (Some(secret), None) => {
            let bytes: Vec<u8> = secret.extract()?;
            Credential::Secret(bytes.try_into().map_err(|_| wrong("the secret's hash has not 32 bytes"))?)
        }
        (None, Some(password)) => Credential::Password(password.extract::<String>()?.into()),
        _ => return Err(wrong("exactly one of secret and password is needed")),
    };
    let names = |key: &str| -> PyResult<Vec<String>> {
        spec.get_item(key)?.map_or(Ok(Vec::new()), |names| names.extract())
    };
    let parent: Option<String> = spec.get_item("parent")?.map_or(Ok(None), |parent| parent.extract())?;
    let enabled = spec.get_item("enabled")?.map_or(Ok(true), |value| value.extract())?;
    Ok(Principal {
        name: text("name")?.into(),
        kind,
        roles: names("roles")?.into_iter().map(Into::into).collect(),
        credential,
        enabled,
        children: names("children")?.into_iter().map(Into::into).collect(),
        parent: parent.map(Into::into),
        groups: names("groups")?.into_iter().map(Into::into).collect(),
    })
}
