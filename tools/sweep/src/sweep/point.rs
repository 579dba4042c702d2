//! One point of death: a fresh scene, the victim's walk to it, its end, and what the others have to say.

use super::companion::{Companion, all_end, have_other_links, settle, until};
use super::family::Family;
use super::scene::{Fate, Fault, Mode, Operation, Scene, Verdict, VictimKind};
use super::victim::{Reached, Victim};
use std::fmt;
use std::time::{Duration, Instant};

/// Where the victim is to die.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// After this many system calls; `None`: they are instructions like all others.
    pub(super) calls: Option<u64>,
    /// And after this many instructions.
    pub(super) steps: u64,
    /// In the sleep of the last of them, if it sleeps; otherwise it is woken first.
    pub(super) to_sleep: bool,
    /// In whichever sleep comes first.
    pub(super) to_first_sleep: bool,
}

/// What was wrong at a point.
#[derive(Debug)]
pub(super) enum Wrong {
    Stuck(String),
    Lost(String),
    Torn(String),
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(calls) = self.calls {
            write!(f, "after {calls} calls and {} instructions", self.steps)
        } else {
            write!(f, "after {} instructions", self.steps)
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Stuck(words) => write!(f, "stuck: {words}"),
            Wrong::Lost(words) => write!(f, "lost: {words}"),
            Wrong::Torn(words) => write!(f, "torn: {words}"),
        }
    }
}

impl Wrong {
    /// What this companion has found, if it found something.
    fn found_by(companion: &mut Companion) -> Option<Wrong> {
        let name = companion.name();
        match companion.end()?.verdict.as_ref().err()? {
            Fault::Lost(words) => Some(Wrong::Lost(format!("{name}: {words}"))),
            Fault::Torn(words) => Some(Wrong::Torn(format!("{name}: {words}"))),
        }
    }
}

/// What came of a point.
pub(super) struct Outcome {
    pub(super) reached: Reached,
    /// The instruction that the victim did not come to execute.
    pub(super) instruction: Option<u64>,
    /// The longest time until a process went on.
    pub(super) recovery: Duration,
    /// The second victim did not come to the end of what it does: there may be a later point in it.
    pub(super) second_within: bool,
    pub(super) wrong: Option<Wrong>,
}

/// The processes of the scene.
struct Play<'a> {
    scene: &'a dyn Scene,
    family: &'a Family<'a>,
    mode: Mode,
    limit: Duration,
    others: Vec<Companion>,
    /// `let_go` was called, and the comers have come.
    let_go: bool,
    roused: bool,
    recovery: Duration,
    /// Instructions that the second victim lives for.
    second: u64,
    second_within: bool,
}

/// Tries one point; in [`Mode::Twice`], with a second death after so many instructions of the next one.
pub(super) fn run(operation: &Operation, mode: Mode, point: Point, second: u64) -> Outcome {
    let scene = (operation.scene)(mode);
    let family = Family::of(&*scene);
    let mut play = Play {
        scene: &*scene,
        family: &family,
        mode,
        limit: operation.limit,
        others: Vec::new(),
        let_go: false,
        roused: false,
        recovery: Duration::ZERO,
        second,
        second_within: false,
    };
    // The victim first: it may hold what the sleepers wait for. Unless one of them is to start it.
    let mut victim = (scene.victim() == VictimKind::Child).then(|| Victim::start(&*scene));
    play.others.extend((0..scene.sleepers()).map(|_| Companion::start("sleeper", |_| scene.sleep())));
    let deadline = play.deadline();
    if scene.victim() == VictimKind::Relative {
        victim = Victim::adopt(&family, deadline);
    }
    let sleep = settle(&mut play.others, deadline) && play.others.iter_mut().all(|one| one.end().is_none());
    assert!(sleep, "the sleepers of {} do not fall asleep", operation.name);
    let mut victim = victim.expect("the sleeper starts it");
    let reached = victim.walk(point, || play.let_go());
    let instruction = victim.instruction();
    let wrong = match reached {
        Reached::Ended => Some(Wrong::Lost("the victim ended by itself".to_owned())),
        Reached::Stuck => Some(Wrong::Stuck("the victim sleeps on".to_owned())),
        Reached::Beyond => None,
        _ => play.end(&mut victim, reached == Reached::Finished).err(),
    };
    Outcome { reached, instruction, recovery: play.recovery, second_within: play.second_within, wrong }
}

impl Play<'_> {
    fn deadline(&self) -> Instant {
        Instant::now() + self.limit
    }

    fn let_go(&mut self) {
        if !std::mem::replace(&mut self.let_go, true) {
            self.scene.let_go();
            let scene = self.scene;
            let comers = (0..scene.comers()).map(|_| Companion::start("comer", |_| scene.come()));
            self.others.extend(comers);
        }
    }

    /// From the victim's last instruction on.
    fn end(&mut self, victim: &mut Victim, finished: bool) -> Result<(), Wrong> {
        self.settle()?;
        self.scene.look();
        match self.mode {
            Mode::Kill => victim.kill(),
            Mode::Barge => self.barge(victim)?,
            Mode::Stop => self.stop(victim)?,
            Mode::Pass => self.pass(victim)?,
            Mode::Twice => {
                victim.kill();
                self.second_death()?;
            }
        }
        let since = Instant::now();
        self.let_go();
        if matches!(self.mode, Mode::Stop | Mode::Pass) {
            match victim.go_on(self.deadline()) {
                None => return Err(Wrong::Stuck("the victim does not go on".to_owned())),
                Some(false) => return Err(Wrong::Lost("the victim failed when it went on".to_owned())),
                Some(true) => {}
            }
        }
        self.recover(since)?;
        if let Some(wrong) = self.others.iter_mut().find_map(Wrong::found_by) {
            return Err(wrong);
        }
        self.outlive_family(since)?;
        let (scene, mode, roused) = (self.scene, self.mode, self.roused);
        let took = self.ask("checker", |_| scene.check(Fate { mode, finished, roused }))?;
        self.recovery = self.recovery.max(took);
        Ok(())
    }

    fn barge(&mut self, victim: &mut Victim) -> Result<(), Wrong> {
        self.start_barger()?;
        victim.kill();
        self.let_barger_through();
        Ok(())
    }

    /// The victim goes on while the barger has what it has.
    fn pass(&mut self, victim: &mut Victim) -> Result<(), Wrong> {
        self.start_barger()?;
        if !victim.run_on(self.deadline()) {
            return Err(Wrong::Stuck("the victim neither ends nor sleeps".to_owned()));
        }
        self.let_barger_through();
        Ok(())
    }

    fn start_barger(&mut self) -> Result<(), Wrong> {
        let scene = self.scene;
        self.others.push(Companion::start("barger", |hold| {
            have_other_links();
            scene.barge(hold)
        }));
        self.settle()
    }

    fn let_barger_through(&mut self) {
        self.others.last_mut().expect("it was pushed last").let_through();
    }

    /// The next one to do the operation dies in it too.
    fn second_death(&mut self) -> Result<(), Wrong> {
        let mut second = Victim::second(self.scene);
        let point = Point { calls: None, steps: self.second, to_sleep: true, to_first_sleep: true };
        let reached = second.walk(point, || {});
        self.settle()?;
        self.scene.look_again();
        second.kill();
        match reached {
            Reached::Ended => Err(Wrong::Lost("the second victim ended by itself".to_owned())),
            _ => {
                self.second_within = reached == Reached::There;
                Ok(())
            }
        }
    }

    fn stop(&mut self, victim: &mut Victim) -> Result<(), Wrong> {
        if !victim.stop(self.deadline()) {
            return Err(Wrong::Stuck("the victim cannot be stopped".to_owned()));
        }
        let scene = self.scene;
        let meanwhile = |_: &dyn Fn()| {
            have_other_links();
            scene.meanwhile()
        };
        self.ask("a process that goes on meanwhile", meanwhile).map(|_| ())
    }

    /// Waits until all others sleep, hold or have ended.
    fn settle(&mut self) -> Result<(), Wrong> {
        let deadline = self.deadline();
        if settle(&mut self.others, deadline) {
            Ok(())
        } else {
            Err(Wrong::Stuck("a process neither ends nor sleeps".to_owned()))
        }
    }

    /// Waits until all others have gone on to their end; wakes the processes that the victim did not have to wake.
    fn recover(&mut self, since: Instant) -> Result<(), Wrong> {
        let deadline = since + self.limit;
        let (scene, family) = (self.scene, self.family);
        let others = &mut self.others;
        let paid = until(deadline, || {
            // As process 1 would: only then is it known how an orphan ended.
            family.reap();
            settle(others, deadline) && (others.iter_mut().all(|one| one.end().is_some()) || !scene.owed())
        });
        if !paid {
            return Err(self.stuck());
        }
        let late = self.others.iter_mut().any(|one| one.end().is_none());
        self.note_ends(since, if late { Some(Instant::now()) } else { None });
        if late {
            self.roused = true;
            let since = Instant::now();
            self.ask("the waker", |_| scene.rouse())?;
            let deadline = self.deadline();
            if !all_end(&mut self.others, deadline) {
                return Err(self.stuck());
            }
            self.note_ends(since, None);
        }
        Ok(())
    }

    /// Waits until no process is left that the operation has started.
    fn outlive_family(&mut self, since: Instant) -> Result<(), Wrong> {
        let family = self.family;
        if self.scene.family().is_none() {
            return Ok(());
        }
        if !until(self.deadline(), || family.is_gone()) {
            return Err(Wrong::Stuck(format!("left behind: {}", family.left())));
        }
        self.recovery = self.recovery.max(since.elapsed());
        Ok(())
    }

    fn note_ends(&mut self, since: Instant, now: Option<Instant>) {
        let ends = self.others.iter_mut().filter_map(|one| one.end().map(|end| end.seen)).chain(now);
        let last = ends.map(|seen| seen.saturating_duration_since(since)).max().unwrap_or_default();
        self.recovery = self.recovery.max(last);
    }

    fn stuck(&mut self) -> Wrong {
        let waits = |one: &mut Companion| if one.end().is_none() { Some(one.name()) } else { None };
        let names: Vec<&str> = self.others.iter_mut().filter_map(waits).collect();
        Wrong::Stuck(format!("still waiting: {}", names.join(", ")))
    }

    /// Lets a process do something, and waits for its verdict.
    fn ask(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&dyn Fn()) -> Verdict,
    ) -> Result<Duration, Wrong> {
        let mut one = [Companion::start(name, work)];
        if !all_end(&mut one, self.deadline()) {
            return Err(Wrong::Stuck(format!("the {name} does not come to an end")));
        }
        match Wrong::found_by(&mut one[0]) {
            Some(wrong) => Err(wrong),
            None => Ok(one[0].end().map_or(Duration::ZERO, |end| end.took)),
        }
    }
}
