//! The Dependency Descriptor header extension (AV1 RTP specification, appendix A.8), the one place where a relay learns about frames.
//!
//! Parsed as far as forwarding needs: frame boundaries, frame number, and the template structure with its layers and decode targets.

mod bits;

use bits::Bits;

const MAX_TEMPLATES: usize = 64;
const MAX_LAYERS: u8 = 8;

/// A descriptor of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    pub start_of_frame: bool,
    pub end_of_frame: bool,
    pub template_id: u8,
    pub frame_number: u16,
    /// Present on the first packet of a key frame: senders attach it nowhere else.
    pub structure: Option<Structure>,
    /// The decode targets the sender still produces, as a bit mask, where this packet says so.
    pub active_decode_targets: Option<u32>,
    /// What replaces the template's indications for this frame.
    pub custom_indications: Option<Vec<u8>>,
    /// What replaces the template's frame differences for this frame.
    pub custom_differences: Option<Vec<u16>>,
}

/// The template dependency structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    pub template_id_offset: u8,
    pub decode_targets: u8,
    pub templates: Vec<Template>,
    /// Width and height of each spatial layer, where the sender tells.
    pub resolutions: Vec<(u32, u32)>,
}

/// One template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub spatial: u8,
    pub temporal: u8,
    /// Two bits per decode target: not present, discardable, switch, required.
    pub indications: Vec<u8>,
    /// How many frames back lie those it refers to.
    pub differences: Vec<u16>,
}

impl Descriptor {
    /// `None` if the extension is malformed.
    pub fn parse(extension: &[u8]) -> Option<Self> {
        Self::parse_under(extension, None)
    }

    /// The same under the structure in force: what it takes to read what a packet without one says of its frame alone.
    pub fn parse_under(extension: &[u8], in_force: Option<&Structure>) -> Option<Self> {
        let mut bits = Bits::new(extension);
        let mut descriptor = Descriptor {
            start_of_frame: bits.flag()?,
            end_of_frame: bits.flag()?,
            template_id: bits.read(6)? as u8,
            frame_number: bits.read(16)? as u16,
            structure: None,
            active_decode_targets: None,
            custom_indications: None,
            custom_differences: None,
        };
        if extension.len() > 3 {
            let structure_present = bits.flag()?;
            let active_present = bits.flag()?;
            let custom_indications = bits.flag()?;
            let custom_differences = bits.flag()?;
            bits.flag()?; // custom chains come last and are not read
            if structure_present {
                let structure = Structure::parse(&mut bits)?;
                // All targets are active where a structure starts (appendix A.8.2).
                descriptor.active_decode_targets = Some(u32::MAX >> (32 - u32::from(structure.decode_targets)));
                descriptor.structure = Some(structure);
            }
            let Some(structure) = descriptor.structure.as_ref().or(in_force) else {
                return Some(descriptor);
            };
            if active_present {
                descriptor.active_decode_targets = Some(bits.read(structure.decode_targets)?);
            }
            if custom_indications {
                let indications = (0..structure.decode_targets).map(|_| Some(bits.read(2)? as u8));
                descriptor.custom_indications = Some(indications.collect::<Option<_>>()?);
            }
            if custom_differences {
                descriptor.custom_differences = Some(custom(&mut bits)?);
            }
        }
        Some(descriptor)
    }

    /// Whether decoding can start with this packet.
    pub fn starts_key_frame(&self) -> bool {
        self.start_of_frame && self.structure.is_some()
    }
}

/// Frame differences of a frame's own: each with its size in nibbles before it, zero ending the list.
fn custom(bits: &mut Bits<'_>) -> Option<Vec<u16>> {
    let mut differences = Vec::new();
    loop {
        let nibbles = bits.read(2)? as u8;
        if nibbles == 0 {
            return Some(differences);
        }
        differences.push(bits.read(4 * nibbles)? as u16 + 1);
    }
}

impl Structure {
    fn parse(bits: &mut Bits<'_>) -> Option<Self> {
        let template_id_offset = bits.read(6)? as u8;
        let decode_targets = bits.read(5)? as u8 + 1;

        let mut templates = Vec::new();
        let (mut spatial, mut temporal) = (0, 0);
        loop {
            if templates.len() == MAX_TEMPLATES {
                return None;
            }
            templates.push(Template {
                spatial,
                temporal,
                indications: Vec::new(),
                differences: Vec::new(),
            });
            match bits.read(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => break,
            }
            if spatial >= MAX_LAYERS || temporal >= MAX_LAYERS {
                return None;
            }
        }
        for template in &mut templates {
            for _ in 0..decode_targets {
                template.indications.push(bits.read(2)? as u8);
            }
        }
        for template in &mut templates {
            while bits.flag()? {
                template.differences.push(bits.read(4)? as u16 + 1);
            }
        }
        let chains = bits.non_symmetric(u32::from(decode_targets) + 1)?;
        if chains > 0 {
            for _ in 0..decode_targets {
                bits.non_symmetric(chains)?;
            }
            for _ in 0..templates.len() as u32 * chains {
                bits.read(4)?;
            }
        }
        let mut resolutions = Vec::new();
        if bits.flag()? {
            for _ in 0..=spatial {
                resolutions.push((bits.read(16)? + 1, bits.read(16)? + 1));
            }
        }
        Some(Structure {
            template_id_offset,
            decode_targets,
            templates,
            resolutions,
        })
    }

    /// The template a descriptor's id stands for.
    pub fn template(&self, template_id: u8) -> Option<&Template> {
        self.templates
            .get(usize::from(template_id.wrapping_sub(self.template_id_offset) & 63))
    }
}
