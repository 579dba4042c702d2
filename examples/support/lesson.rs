//! A lesson: an example's name, what it shows, and what it promises to print, as its own header says.

/// Hands the names of all lessons to a macro: the one list of them.
macro_rules! all_lessons {
    ($to:ident) => {
        $to!(
            ex01_create_processes,
            ex02_process_names,
            ex03_background_process,
            ex03b_background_script,
            ex04_kill_process,
            ex05_process_trait,
            ex06_queue,
            ex07_pipe_chain,
            ex08_barrier_lock,
            ex08b_barrier_script,
            ex09_manager_dict,
            ex10_pool_map,
            ex11_isolation,
            ex12_sum_table,
            ex13_sobel,
            ex14_shared_type,
            ex15_supervised_actor,
            ex20_start_join_loop,
            ex21_worker_hello,
            ex22_queue_objects,
            ex23_pipe_two_children,
            ex24_lock_hello,
            ex25_introspection,
            ex26_lifecycle,
            ex27_entry_guard,
            ex30_serial_parallel_model,
            ex31_io_overlap,
            ex32_lost_update,
            ex33_switch_cost,
            ex34_shared_or_not,
            ex35_spawn_cost,
            ex36_async_generators,
            ex37_async_library,
            ex38_starvation,
            ex39_compare,
            ex3a_async_per_process,
            ex3b_async_connections,
            ex3c_await_tasks,
            ex40_threads_vs_processes,
            ex41_pipeline_steps,
            ex42_fusion,
            ex43_process_steps,
            ex44_boundary,
            ex45_progress,
            ex46_pipeline_failures,
            ex50_queue_add,
            ex51_log_in_thread,
            ex52_log_two_threads,
            ex53_fetch_images,
            ex54_killable,
            ex55_pump_vs_lock,
            ex56_ticker,
        );
    };
}

/// What a run must print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promise {
    lines: Vec<String>,
    any_order: bool,
}

/// One example, read from its source.
#[allow(dead_code, reason = "the tests of the lessons use a part of it")]
#[derive(Debug, Clone)]
pub(crate) struct Lesson {
    pub(crate) name: &'static str,
    pub(crate) source: &'static str,
    pub(crate) shows: String,
    /// The part of the teaching document that it answers.
    pub(crate) answers: String,
    pub(crate) prints: Promise,
    pub(crate) as_in_course: Option<Promise>,
}

impl Lesson {
    pub(crate) fn read(name: &'static str, source: &'static str) -> Lesson {
        let header: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
        let after = |title| header.iter().find_map(|line| line.trim().strip_prefix(title));
        let prints = Promise::after("Prints:", &header, false);
        let unordered = || Promise::after("Prints in any order:", &header, true);
        Lesson {
            name,
            source,
            shows: after("").unwrap_or_default().trim_end_matches('.').to_owned(),
            answers: after("Answers:").unwrap_or_default().trim().to_owned(),
            prints: prints.or_else(unordered).expect("an example says what it prints"),
            as_in_course: Promise::after("As in course:", &header, false),
        }
    }

    /// In one line.
    #[allow(dead_code, reason = "the course's table has it, and no test")]
    pub(crate) fn answers_and_shows(&self) -> String {
        if self.answers.is_empty() { self.shows.clone() } else { format!("{}: {}", self.answers, self.shows) }
    }
}

impl Promise {
    /// The indented lines below a title.
    fn after(title: &str, header: &[&str], any_order: bool) -> Option<Promise> {
        let at = header.iter().position(|line| line.trim() == title)?;
        let lines = header[at + 1..].iter().map_while(|line| line.strip_prefix("     "));
        Some(Promise { lines: lines.map(str::to_owned).collect(), any_order })
    }

    /// How many lines it has.
    pub(crate) fn count(&self) -> usize {
        self.lines.len()
    }

    /// How many of its lines a run has printed, each in its place unless any will do; and whether it printed those
    /// and nothing else.
    pub(crate) fn kept_by(&self, output: &str) -> (usize, bool) {
        let mut printed: Vec<&str> = output.lines().collect();
        let mut promised: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        if self.any_order {
            printed.sort_unstable();
            promised.sort_unstable();
        }
        let hits = printed.iter().zip(&promised).filter(|(printed, promised)| printed == promised).count();
        (hits, printed == promised)
    }
}
