//! What the gateway is told: who exists, what they may, which rules run, what to publish.

use std::sync::Arc;

use mohhos_hub::{Action, Explanation, Principal, Publication, Standing, Tap};
use mohhos_stream::{Engine, RuleStats};

use crate::error::GatewayError;
use crate::gateway::{Gateway, Stage};
use crate::tables;
use crate::telemetry_tap::TelemetryTap;

impl Gateway {
    /// The port of each listener by name.
    ///
    /// # Errors
    /// It does not run.
    pub fn ports(&self) -> Result<Vec<(String, u16)>, GatewayError> {
        self.running(|parts| parts.hub.ports().to_vec())
    }

    /// Reads the certificates, keys and revocation lists of all listeners again; the names of those that have changed.
    ///
    /// # Errors
    /// A file cannot be used (the listener goes on with those before), or it does not run.
    pub fn reload_tls(&self) -> Result<Vec<String>, GatewayError> {
        Ok(self.running(|parts| parts.hub.reload_tls())??)
    }

    /// Makes registered devices and their persisted codes known.
    ///
    /// # Errors
    /// It is stopped.
    pub fn put_devices(&self, codes: &[(String, u32)]) -> Result<(), GatewayError> {
        self.with_hub(|setup| setup.hub.put_devices(codes), |parts| parts.hub.put_devices(codes))
    }

    /// Forgets devices.
    ///
    /// # Errors
    /// It does not run.
    pub fn remove_devices(&self, ids: &[String]) -> Result<(), GatewayError> {
        self.running(|parts| parts.hub.remove_devices(ids))
    }

    /// Adds or replaces principals.
    ///
    /// # Errors
    /// It is stopped.
    pub fn put_principals(&self, principals: Vec<Principal>) -> Result<(), GatewayError> {
        match &*self.stage.read() {
            Stage::Prepared(setup) => setup.lock().hub.put_principals(principals),
            Stage::Running(parts) => parts.hub.put_principals(principals),
            Stage::Stopped => return Err(GatewayError::not_running()),
        }
        Ok(())
    }

    /// Removes principals and disconnects them.
    ///
    /// # Errors
    /// It does not run.
    pub fn remove_principals(&self, names: &[String]) -> Result<(), GatewayError> {
        self.running(|parts| parts.hub.remove_principals(names))
    }

    /// Replaces the roles (JSON).
    ///
    /// # Errors
    /// A role is not usable, or it is stopped.
    pub fn put_roles(&self, json: &str) -> Result<(), GatewayError> {
        Ok(self.with_hub(|setup| setup.hub.put_roles(json), |parts| parts.hub.put_roles(json))??)
    }

    /// Disconnects a principal's sessions; how many. Their wills are published only if `will`.
    ///
    /// # Errors
    /// It does not run.
    pub fn kick(&self, principal: &str, text: &str, will: bool) -> Result<usize, GatewayError> {
        self.running(|parts| parts.hub.kick(principal, text, will))
    }

    /// Restricts a device or frees it.
    ///
    /// # Errors
    /// The device is not registered, the standing cannot be meant, or it is stopped.
    pub fn set_standing(&self, device: &str, standing: &Standing) -> Result<(), GatewayError> {
        Ok(self.with_hub(
            |setup| setup.hub.set_standing(device, standing),
            |parts| parts.hub.set_standing(device, standing),
        )??)
    }

    /// What a session of a principal meets, and why; `None` if there is no such principal.
    ///
    /// # Errors
    /// It does not run.
    pub fn explain(
        &self,
        principal: &str,
        client: &str,
        action: Action,
        topic: &str,
    ) -> Result<Option<Explanation>, GatewayError> {
        self.running(|parts| parts.hub.explain(principal, client, action, topic))
    }

    /// Publishes as the gateway; the offset to wait for.
    ///
    /// # Errors
    /// The topic is not valid, the log does not take it, or it does not run.
    pub fn publish(&self, publication: Publication) -> Result<u64, GatewayError> {
        Ok(self.running(|parts| parts.hub.publish(publication))??)
    }

    /// A live view on messages.
    ///
    /// # Errors
    /// It is not a topic filter, or it does not run.
    pub fn tap_messages(&self, filter: &str, capacity: usize) -> Result<Tap, GatewayError> {
        Ok(self.running(|parts| parts.hub.tap(filter, capacity))??)
    }

    /// A live view on a device's readings (of all: "").
    ///
    /// # Errors
    /// The device is not known.
    pub fn tap_telemetry(&self, device: &str, capacity: usize) -> Result<Arc<TelemetryTap>, GatewayError> {
        let unknown = || GatewayError::new("device-unknown", format!("\"{device}\" is not registered"));
        let code = if device.is_empty() { 0 } else { self.devices.code(device).ok_or_else(unknown)? };
        Ok(self.taps.open(code, capacity))
    }

    /// Replaces the declared tables (JSON).
    ///
    /// # Errors
    /// A table is not usable, or it is stopped.
    pub fn put_tables(&self, json: &str) -> Result<(), GatewayError> {
        let tables = tables::parse(json)?;
        match &*self.stage.read() {
            Stage::Prepared(setup) => {
                let setup = &mut *setup.lock();
                setup.hub.put_tables(tables.clone());
                setup.engine.put_tables(tables.clone(), &mut setup.results);
                setup.tables = tables;
                Ok(())
            }
            Stage::Running(parts) => {
                // The rules know a table before the first batch of it comes.
                let known = tables.clone();
                parts.engine.call(move |engine, outputs| engine.put_tables(known, outputs))?;
                parts.hub.put_tables(tables);
                Ok(())
            }
            Stage::Stopped => Err(GatewayError::not_running()),
        }
    }

    fn with_engine<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Engine) -> R + Send + 'static,
    ) -> Result<R, GatewayError> {
        match &*self.stage.read() {
            Stage::Prepared(setup) => Ok(work(&mut setup.lock().engine)),
            Stage::Running(parts) => parts.engine.call(move |engine, _| work(engine)),
            Stage::Stopped => Err(GatewayError::not_running()),
        }
    }

    /// Starts or replaces a rule.
    ///
    /// # Errors
    /// The plan cannot be run (code `rule-engine`); the version before goes on.
    pub fn deploy_rule(&self, name: &str, version: u32, plan: &str) -> Result<(), GatewayError> {
        let (name, plan) = (name.to_owned(), plan.to_owned());
        Ok(self.with_engine(move |engine| engine.deploy(&name, version, &plan))??)
    }

    /// Stops a rule; false if there is none of that name.
    ///
    /// # Errors
    /// It is stopped.
    pub fn remove_rule(&self, name: &str) -> Result<bool, GatewayError> {
        let name = name.to_owned();
        self.with_engine(move |engine| engine.remove(&name))
    }

    /// How each rule runs.
    ///
    /// # Errors
    /// It is stopped.
    pub fn rules(&self) -> Result<Vec<RuleStats>, GatewayError> {
        self.with_engine(|engine| engine.stats())
    }
}
