//! A work: one thing measured, and the peers that do it.

/// One way to do a work: ours, or a peer's.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Does it once and gives the figure, or says why not.
    pub(crate) round: Round,
}

/// A figure of a round: the suffix of the work's name that it stands under, its unit, and its value.
pub(crate) type Named = (&'static str, &'static str, f64);

/// What a round gives: the work's figure, in the work's unit, and further ones.
pub(crate) struct Figures {
    pub(crate) figure: f64,
    pub(crate) further: Vec<Named>,
}

pub(crate) type Round = Box<dyn FnMut() -> Result<Figures, String>>;

impl Peer {
    pub(crate) fn new(name: &'static str, mut round: impl FnMut() -> Result<f64, String> + 'static) -> Peer {
        Peer::of_several(name, move || Ok(Figures { figure: round()?, further: Vec::new() }))
    }

    /// One that gives more than one figure a round.
    pub(crate) fn of_several(
        name: &'static str,
        round: impl FnMut() -> Result<Figures, String> + 'static,
    ) -> Peer {
        Peer { name, round: Box::new(round) }
    }
}

/// One thing measured.
pub(crate) struct Work {
    pub(crate) metric: String,
    pub(crate) unit: &'static str,
    /// Whether more is better.
    pub(crate) rate: bool,
    pub(crate) peers: Vec<Peer>,
}
