//! What a person wrote, turned into what Farlog does: `farlog.yaml` and `mm2.properties`.

pub mod properties;
