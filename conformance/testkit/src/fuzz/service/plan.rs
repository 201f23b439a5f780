//! From a fuzzer's bytes to a plan of requests, and back for the seeds.
//!
//! Every choice is one byte, read in order from the front, so that a changed byte changes one thing.

use arbitrary::{Arbitrary, Result, Unstructured};

/// Most requests of a plan.
pub(super) const MAX_STEPS: usize = 12;

/// The steps for a fresh registry.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::fuzz) struct Plan {
    /// Bits: what the registry allows.
    pub(super) options: u8,
    /// In which request the store fails, in which of its driver calls, and how. None if there is no such
    /// request.
    pub(super) fault: (u8, u8, u8),
    /// The requests.
    pub(super) steps: Vec<Step>,
}

/// A request. Numbers select from the lists in `build.rs`, modulo their lengths.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Step {
    /// The method.
    pub(super) method: u8,
    /// The end-point.
    pub(super) place: u8,
    /// The repository.
    pub(super) name: u8,
    /// The digest, reference or upload.
    pub(super) pick: u8,
    /// Query parameters: kind and value, at most 3.
    pub(super) params: Vec<(u8, u8)>,
    /// Headers: kind and value, at most 3.
    pub(super) headers: Vec<(u8, u8)>,
    /// The body.
    pub(super) body: Content,
    /// Bytes for choices that need raw ones, at most 255.
    pub(super) raw: Vec<u8>,
}

/// A body.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Content {
    /// Which content.
    pub(super) content: u8,
    /// Which part of it.
    pub(super) part: u8,
    /// In which frames, and with which end.
    pub(super) delivery: u8,
    /// What `Content-Length` says.
    pub(super) length: u8,
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut plan = Self {
            options: u.arbitrary()?,
            fault: (u.arbitrary()?, u.arbitrary()?, u.arbitrary()?),
            steps: Vec::new(),
        };
        while !u.is_empty() && plan.steps.len() < MAX_STEPS {
            plan.steps.push(u.arbitrary()?);
        }
        Ok(plan)
    }
}

impl<'a> Arbitrary<'a> for Step {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        let [method, place, name, pick] = u.arbitrary()?;
        Ok(Self {
            method,
            place,
            name,
            pick,
            params: pairs(u)?,
            headers: pairs(u)?,
            body: Content {
                content: u.arbitrary()?,
                part: u.arbitrary()?,
                delivery: u.arbitrary()?,
                length: u.arbitrary()?,
            },
            raw: {
                let length = usize::from(u.arbitrary::<u8>()?).min(u.len());
                u.bytes(length)?.to_vec()
            },
        })
    }
}

fn pairs(u: &mut Unstructured<'_>) -> Result<Vec<(u8, u8)>> {
    let count = u.arbitrary::<u8>()? % 4;
    (0..count).map(|_| Ok((u.arbitrary()?, u.arbitrary()?))).collect()
}

impl Plan {
    /// The bytes that are read as this plan.
    pub(in crate::fuzz) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.options, self.fault.0, self.fault.1, self.fault.2];
        for step in &self.steps {
            bytes.extend([step.method, step.place, step.name, step.pick]);
            for pairs in [&step.params, &step.headers] {
                bytes.push(u8::try_from(pairs.len()).unwrap());
                bytes.extend(pairs.iter().flat_map(|(kind, value)| [*kind, *value]));
            }
            let Content { content, part, delivery, length } = step.body;
            bytes.extend([content, part, delivery, length]);
            bytes.push(u8::try_from(step.raw.len()).unwrap());
            bytes.extend(&step.raw);
        }
        bytes
    }
}
