//! How one setup becomes another: one to three changes, and whatever then leads nowhere is led elsewhere.

use fastrand::Rng;

use super::ms;
use super::setup::{ClientCase, DestinationCase, GroupCase, Part, Setup, Stray, draw_budget};

impl Setup {
    pub(super) fn changed(&self, rng: &mut Rng) -> Setup {
        let mut setup = self.clone();
        for _ in 0..rng.u32(1..=3) {
            setup.change(rng);
        }
        setup.lead_somewhere(rng);
        setup
    }

    fn change(&mut self, rng: &mut Rng) {
        let present = self.present();
        let destination = present[rng.usize(0..present.len())];
        let ingress = rng.usize(0..self.ingresses.len());
        match rng.u32(0..12) {
            0 => {
                let at = rng.usize(0..self.routes.len());
                self.routes[at] = self.draw_route(rng, self.routes[at].name);
            }
            1 => {
                let name = self.routes.iter().map(|route| route.name + 1).max().unwrap_or(0);
                let route = self.draw_route(rng, name);
                let at = rng.usize(0..=self.routes.len());
                self.routes.insert(at, route);
            }
            2 if self.routes.len() > 1 => _ = self.routes.remove(rng.usize(0..self.routes.len())),
            3 => {
                if let Some(known) = &mut self.destinations[destination] {
                    let client = known.client;
                    *known = DestinationCase {
                        client,
                        ..DestinationCase::draw(rng)
                    };
                }
            }
            4 => {
                if let Some(known) = &mut self.destinations[destination] {
                    known.client = ClientCase::draw(rng);
                }
            }
            5 | 6 if present.len() > 2 => self.destinations[destination] = None,
            7 => {
                if let Some(gone) = self.destinations.iter_mut().find(|it| it.is_none()) {
                    *gone = Some(DestinationCase::draw(rng));
                }
            }
            8 => {
                if let Some(known) = &mut self.ingresses[ingress] {
                    known.window_events = rng.u32(1..100);
                    known.window_bytes = rng.u64(1_000..100_000);
                    known.redeliver_after = ms(rng, 20..400);
                }
            }
            9 => {
                let to = present[rng.usize(0..present.len())];
                let mut stray = || match Stray::draw(rng, 1) {
                    Stray::To(_) => Stray::To(to),
                    other => other,
                };
                let (unmatched, malformed) = (stray(), stray());
                if let Some(known) = &mut self.ingresses[ingress] {
                    (known.unmatched, known.malformed) = (unmatched, malformed);
                    known.drop_rejected = rng.u32(0..4) == 0;
                }
            }
            10 if !self.groups.is_empty() => {
                let at = rng.usize(0..self.groups.len());
                self.groups[at] = GroupCase::draw(rng, present);
            }
            11 if self.ingresses.iter().flatten().count() > 1 => self.ingresses[ingress] = None,
            _ => self.budget = draw_budget(rng),
        }
    }

    /// What led to a destination that is gone leads to one that is there.
    fn lead_somewhere(&mut self, rng: &mut Rng) {
        let present = self.present();
        let is_there = |at: &usize| present.contains(at);
        let mut instead = || present[rng.usize(0..present.len())];
        for group in &mut self.groups {
            group.members.retain(|part| match part {
                Part::Destination(at) => is_there(at),
                Part::All(all) => all.iter().all(is_there),
                Part::Group(_) => true,
            });
            if group.members.is_empty() {
                group.members.push(Part::Destination(instead()));
            }
        }
        for route in &mut self.routes {
            route
                .parts
                .retain(|part| !matches!(part, Part::Destination(at) if !is_there(at)));
            if route.parts.is_empty() {
                route.parts.push(Part::Destination(instead()));
            }
            route.dead_letter = route.dead_letter.filter(is_there);
        }
        for ingress in self.ingresses.iter_mut().flatten() {
            for stray in [&mut ingress.unmatched, &mut ingress.malformed] {
                if matches!(stray, Stray::To(at) if !is_there(at)) {
                    *stray = Stray::To(instead());
                }
            }
        }
    }

    /// Where everything can end: each ingress is there, and no lane is held by what no route will ever take.
    pub(super) fn mended(&self, first: &Setup) -> Setup {
        let mut setup = self.clone();
        for (ingress, known) in setup.ingresses.iter_mut().zip(&first.ingresses) {
            if ingress.is_none() {
                ingress.clone_from(known);
            }
            let Some(ingress) = ingress.as_mut().filter(|ingress| ingress.holds()) else {
                continue;
            };
            for stray in [&mut ingress.unmatched, &mut ingress.malformed] {
                if *stray == Stray::Reject {
                    *stray = Stray::Forget;
                }
            }
        }
        setup.lead_somewhere(&mut Rng::with_seed(0));
        setup
    }
}
