//! The lists of cases: each with the clauses that it holds, and whether it hurts the remote.
//!
//! Owns: the one place where a case is named beside its function; tests, docs and lists are made from here.

/// One case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Case {
    /// The function's name, and the test's.
    pub name: &'static str,
    /// The clauses of the delivery contract, separated by blanks.
    pub clauses: &'static str,
    /// It cuts, hides, silences, slows or kills the remote, which therefore must be nobody else's.
    pub hurts: bool,
}

/// The cases of an ingress.
#[doc(hidden)]
#[macro_export]
macro_rules! ingress_cases {
    ($then:ident $($with:tt)*) => {
        $crate::$then! { $($with)*
            what_comes_in_is_what_was_sent: "C2 C34 C35", calm;
            what_is_malformed_comes_with_its_bytes: "C6 C7 C8 C34", calm;
            what_is_above_the_limit_is_no_event: "C33 C35", calm;
            nothing_is_acknowledged_before_it_is_settled: "C1 C5 C6 C7 C8", calm;
            what_settles_out_of_order_is_acknowledged_as_the_lane_promises: "C5 C6 C7 C8", calm;
            what_was_released_is_not_acknowledged_and_comes_again: "C3 C5 C6 C7 C8", calm;
            what_is_unknown_is_not_acknowledged_and_comes_again: "C3 C4 C8", calm;
            what_is_rejected_is_refused_in_the_protocols_words: "C5 C6 C7 C8", calm;
            what_was_released_in_the_middle_comes_again_and_nothing_before_it: "C3 C4 C5", calm;
            no_more_is_taken_than_the_window_allows: "C21", calm;
            a_full_window_opens_by_exactly_what_was_settled: "C21", calm;
            no_more_bytes_are_taken_than_the_window_allows: "C21", calm;
            a_burst_comes_in_once_each: "C3 C4 C21", calm;
            one_key_comes_in_its_order: "C20", calm;
            a_cut_connection_loses_nothing: "C3 C4", hurts;
            a_reconnect_repeats_only_what_was_not_acknowledged: "C3 C4", hurts;
            a_killed_remote_loses_nothing: "C1 C3", hurts;
            a_remote_that_is_away_at_the_start_is_waited_for: "C3", hurts;
            a_stop_while_the_remote_is_away_returns_in_time: "C1 C29", hurts;
            a_drain_takes_no_more_in: "C6 C8 C29", calm;
            a_clean_close_has_acknowledged_all_that_was_settled: "C4 C29", calm;
            what_was_unsettled_at_a_stop_comes_to_the_next_life: "C1 C29", calm;
        }
    };
}

/// The cases of an egress.
#[doc(hidden)]
#[macro_export]
macro_rules! egress_cases {
    ($then:ident $($with:tt)*) => {
        $crate::$then! { $($with)*
            what_arrives_is_what_was_given: "C2 C9 C10 C11 C12 C35", calm;
            what_is_above_the_limit_is_the_events_fault: "C9 C10 C35", calm;
            one_key_arrives_in_its_order: "C20", calm;
            a_full_window_is_settled_once_each: "C3 C4 C21", calm;
            a_slow_remote_gets_everything_once: "C4 C21", hurts;
            a_refusal_is_the_events_fault: "C9 C10 C11 C12", calm;
            a_failure_is_an_attempt: "C9 C23", calm;
            an_overload_is_the_destinations_fault: "C9 C11 C12 C23", calm;
            refused_credentials_are_the_destinations_fault: "C9 C10 C23", calm;
            what_does_not_exist_is_the_destinations_fault: "C9 C10 C23", calm;
            an_event_that_is_never_taken_disturbs_no_other: "C9 C10 C14", calm;
            silence_may_have_delivered: "C4 C9 C15", hurts;
            a_remote_that_is_gone_has_taken_nothing_and_is_found_again: "C3 C23", hurts;
            a_cut_in_mid_flight_loses_nothing_and_keeps_the_order: "C3 C4 C11 C12 C20", hurts;
            a_killed_remote_has_all_that_was_confirmed: "C1 C3 C4 C20", hurts;
            a_drained_egress_settles_all_and_returns: "C29", calm;
            a_stopped_egress_confirms_nothing_that_the_remote_did_not: "C1 C29", hurts;
            a_stop_with_a_full_window_confirms_only_what_the_remote_has: "C1 C29", calm;
            a_stop_while_the_remote_is_gone_returns_in_time: "C29", hurts;
        }
    };
}

/// A list of cases as data.
#[doc(hidden)]
#[macro_export]
macro_rules! case_list {
    ($($name:ident: $clauses:literal, $kind:ident;)*) => {
        &[$($crate::suite::Case {
            name: stringify!($name),
            clauses: $clauses,
            hurts: $crate::case_kind!($kind),
        },)*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! case_kind {
    (calm) => {
        false
    };
    (hurts) => {
        true
    };
}

/// One test of each case for an ingress, and one of its column in the docs. `$make` is a function that is given the
/// case's name (`"docs"`: nothing will be sent) and gives a future of a fresh [`crate::IngressSubject`].
#[macro_export]
macro_rules! ingress_suite {
    ($make:expr) => {
        $crate::ingress_cases! { each_case ingress, $make; }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_docs_tell_which_cases_are_waived() {
            let make = $make;
            let subject = make("docs").await;
            $crate::suite::ingress::documented(&subject);
        }
    };
}

/// One test of each case for an egress, and one of its column in the docs. `$make` is a function that is given the
/// case's name (`"docs"`: nothing will be sent) and gives a future of a fresh [`crate::EgressSubject`].
#[macro_export]
macro_rules! egress_suite {
    ($make:expr) => {
        $crate::egress_cases! { each_case egress, $make; }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_docs_tell_which_cases_are_waived() {
            let make = $make;
            let subject = make("docs").await;
            $crate::suite::egress::documented(&subject);
        }
    };
}

/// Used by the two suites.
#[doc(hidden)]
#[macro_export]
macro_rules! each_case {
    ($side:ident, $make:expr; $($name:ident: $clauses:literal, $kind:ident;)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let make = $make;
                let subject = make(stringify!($name)).await;
                if !$crate::suite::$side::is_waived(&subject, stringify!($name)) {
                    $crate::suite::$side::$name(&subject).await;
                }
            }
        )*
    };
}
