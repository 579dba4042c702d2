//! The five teaching documents that the lessons answer. A lesson's number says which: ex0x and ex1x belong to the
//! first.

/// A text that teaches processes in Python.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// The name of its group of lessons.
    pub(crate) group: &'static str,
    pub(crate) title: &'static str,
    /// What it is, for a reader who has never seen it.
    pub(crate) what: &'static str,
    /// The first digits of its lessons' numbers.
    digits: &'static str,
}

pub(crate) const DOCUMENTS: [Document; 5] = [
    Document {
        group: "unidad8",
        title: "Unidad 8: Multiprocessing",
        what: "a page of a Spanish university course: ten notebooks, two scripts, a workshop",
        digits: "01",
    },
    Document {
        group: "notebook",
        title: "Multiprocessing, December 12, 2020",
        what: "a Spanish notebook of six cells on Process, Queue, Pipe and Lock",
        digits: "2",
    },
    Document {
        group: "curso",
        title: "Curso Avanzado de Python: Multiproceso, Multihilo y async",
        what: "a Spanish course text without code: which of the three to choose, and why",
        digits: "3",
    },
    Document {
        group: "wpipe",
        title: "Nivel 25: Super-Computación (Threads vs Processes)",
        what: "a level of the tour of WPipe, a library for pipelines in Python",
        digits: "4",
    },
    Document {
        group: "blog",
        title: "multi processing, threading, multi threading",
        what: "a Korean blog of September 11, 2020: for and against each, and three templates",
        digits: "5",
    },
];

impl Document {
    /// The one that a lesson of this name answers.
    pub(crate) fn of(lesson: &str) -> &'static Document {
        let digit = lesson.chars().nth(2).expect("a lesson's name begins with ex and its number");
        let found = DOCUMENTS.iter().find(|document| document.digits.contains(digit));
        found.expect("each number belongs to a document")
    }
}
