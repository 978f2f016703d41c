"""The rules of works sites. Pure.

Words are FIWARE CityWork's. No published thresholds were found: the numbers are our defaults, to be tuned.
"""

import numpy as np

from devices.kind import Column, Mask, Text, rule

DEFAULT = "our default"
SATURDAY, DAY_H = 5, 24


def takes_road(lanes_closed: Column) -> Mask:
    """Sites that hold lanes closed."""
    return lanes_closed > 0


def idle_working_h(idle_h: Column, weekday: Column, local_hour: Column) -> Column:
    """How long nobody has worked, less the hours of the last week-end, for up to a week."""
    into_weekend = np.maximum((weekday - SATURDAY) * DAY_H + local_hour, 0)
    since_weekend = weekday * DAY_H + local_hour
    of_weekend = np.where(
        weekday >= SATURDAY, np.minimum(idle_h, into_weekend), np.clip(idle_h - since_weekend, 0, 2 * DAY_H)
    )
    return idle_h - of_weekend


@rule(
    type="site",
    title=Text("Chantier en dépassement", "Works overrun"),
    help_fr="Le chantier travaille encore, ou occupe encore la voie, après sa fin prévue.",
    priority=3,
    any_of=("active", "lanes_closed"),
    source=f"overrun of the end date; {DEFAULT}",
    fires_on=({"left_h": -3, "active": 1}, {"left_h": -3, "active": 0, "lanes_closed": 1}),
    silent_on=({"left_h": 48, "active": 1}, {"left_h": -3, "active": 0, "lanes_closed": 0}),
)
def site_overrun(left_h: Column, active: Column, lanes_closed: Column, *, grace_h: float = 0.0) -> Mask:
    """The site still works, or still takes up the road, after its planned end."""
    return (left_h < -grace_h) & ((active == 1) | (lanes_closed > 0))


@rule(
    type="site",
    title=Text("Chantier sans arrêté", "Works without an order"),
    help_fr="On travaille ou on occupe la voie sans arrêté de circulation en vigueur.",
    priority=2,
    hold_s=900,
    any_of=("active", "lanes_closed"),
    source=f"site active without order (DiaLog); 15 min: {DEFAULT}",
    fires_on=({"has_order": 0, "active": 1}, {"has_order": 0, "lanes_closed": 2}),
    silent_on=({"has_order": 1, "active": 1}, {"has_order": 0, "active": 0, "lanes_closed": 0}),
)
def works_without_order(has_order: Column, active: Column, lanes_closed: Column) -> Mask:
    """People work or take up the road while no traffic order is in force."""
    return (has_order == 0) & ((active == 1) | (lanes_closed > 0))


@rule(
    type="site",
    title=Text("Arrêté sans activité", "Order without works"),
    help_fr="La voie est occupée et personne n'y a travaillé depuis deux jours ouvrés, alors qu'on travaille ailleurs.",
    priority=3,
    optional=("near_10000m__idle_h__min",),
    source=(
        "order without activity for 2 days (DiaLog, issue 1669); without the week-end, nor days on which nobody "
        "within 10 km works (holiday, weather): our default"
    ),
    fires_on=(
        {"idle_working_h": 52, "lanes_closed": 1},
        {"idle_working_h": 52, "lanes_closed": 1, "near_10000m__idle_h__min": 3},
    ),
    silent_on=(
        {"idle_working_h": 40, "lanes_closed": 1},
        {"idle_working_h": 52, "lanes_closed": 0},
        {"idle_working_h": 52, "lanes_closed": 1, "near_10000m__idle_h__min": 50},
    ),
)
def order_without_works(
    idle_working_h: Column,
    lanes_closed: Column,
    near_10000m__idle_h__min: Column,
    *,
    max_idle_h: float = 48.0,
    all_idle_h: float = 24.0,
) -> Mask:
    """The road is taken up and nobody has worked there for two working days, though others work."""
    return (idle_working_h > max_idle_h) & (lanes_closed > 0) & ~(near_10000m__idle_h__min > all_idle_h)


def works_again(idle_working_h: Column, lanes_closed: Column, *, resumed_h: float = 2.0) -> Mask:
    """Somebody works there again, or the road is free."""
    return (idle_working_h < resumed_h) | (lanes_closed == 0)


@rule(
    type="site",
    title=Text("Travaux hors horaires", "Works out of hours"),
    help_fr="On travaille en dehors des horaires autorisés depuis une demi-heure.",
    priority=3,
    hold_s=1800,
    source=f"hours of the permit; 30 min: {DEFAULT}",
    fires_on=({"active": 1, "in_permitted_hours": 0},),
    silent_on=({"active": 1, "in_permitted_hours": 1}, {"active": 0, "in_permitted_hours": 0}),
)
def works_out_of_hours(active: Column, in_permitted_hours: Column) -> Mask:
    """People have worked outside the permitted hours for half an hour."""
    return (active == 1) & (in_permitted_hours == 0)


@rule(
    type="site",
    title=Text("Bruit hors permis", "Noise over the permit"),
    help_fr="Le bruit du chantier dépasse sa limite depuis un quart d'heure.",
    priority=3,
    hold_s=900,
    source=f"85 dB(A) for 15 min unless the registry says otherwise: {DEFAULT}",
    fires_on=({"noise_laeq_db": 91, "noise_limit_db": 85},),
    silent_on=({"noise_laeq_db": 78, "noise_limit_db": 85},),
)
def works_noise(noise_laeq_db: Column, noise_limit_db: Column) -> Mask:
    """The noise of the site has been over its limit for a quarter of an hour."""
    return noise_laeq_db > noise_limit_db


@rule(
    type="site",
    title=Text("Deux chantiers dans la même rue", "Two works on one street"),
    help_fr="Un autre chantier occupe la voie à moins de 100 m : à coordonner.",
    priority=3,
    hold_s=3600,
    optional=("near_100m__takes_road__count",),
    source=f"two works on the same street, told by nearness: 100 m for an hour: {DEFAULT}",
    fires_on=({"lanes_closed": 1, "near_100m__takes_road__count": 1},),
    silent_on=(
        {"lanes_closed": 1, "near_100m__takes_road__count": 0},
        {"lanes_closed": 0, "near_100m__takes_road__count": 2},
        {"lanes_closed": 1},
    ),
)
def works_too_near(lanes_closed: Column, near_100m__takes_road__count: Column, *, min_others: float = 1) -> Mask:
    """Another site takes up the road within 100 m: they should be coordinated."""
    return (lanes_closed > 0) & (near_100m__takes_road__count >= min_others)


@rule(
    type="site",
    title=Text("Chantier sur une ligne de bus", "Works on a bus route"),
    help_fr="Le chantier ferme une voie dans la zone « bus_route » : prévenir l'exploitant des bus.",
    priority=3,
    hold_s=900,
    source=f"works that cut a bus route, drawn as the geofence bus_route; 15 min: {DEFAULT}",
    fires_on=({"lanes_closed": 1, "in__bus_route": 1},),
    silent_on=({"lanes_closed": 1, "in__bus_route": 0}, {"lanes_closed": 0, "in__bus_route": 1}),
)
def works_on_bus_route(lanes_closed: Column, in__bus_route: Column) -> Mask:
    """The site closes a lane within the geofence bus_route: the operator of the buses should know."""
    return (lanes_closed > 0) & (in__bus_route == 1)


@rule(
    type="site",
    title=Text("Chantier sur un circuit de neige", "Works on a snow route"),
    help_fr="Le chantier ferme une voie dans la zone « snow_route », tracée l'hiver : le chasse-neige ne passera pas.",
    priority=3,
    hold_s=900,
    source=f"works that cut a snow route, drawn as the geofence snow_route; 15 min: {DEFAULT}",
    fires_on=({"lanes_closed": 1, "in__snow_route": 1},),
    silent_on=({"lanes_closed": 1, "in__snow_route": 0}, {"lanes_closed": 0, "in__snow_route": 1}),
)
def works_on_snow_route(lanes_closed: Column, in__snow_route: Column) -> Mask:
    """The site closes a lane within the geofence snow_route, drawn in winter: the plough will not pass."""
    return (lanes_closed > 0) & (in__snow_route == 1)


@rule(
    type="site",
    title=Text("Balisage à terre", "Site unguarded"),
    help_fr="Un tiers du balisage est couché ou déplacé : le chantier n'est plus protégé.",
    priority=1,
    hold_s=120,
    source=f"a third of the cones and barriers for 2 min: {DEFAULT}",
    fires_on=({"children__displaced__share": 0.5},),
    silent_on=({"children__displaced__share": 0.2},),
)
def site_unguarded(children__displaced__share: Column, *, max_share: float = 0.34) -> Mask:
    """A third of the cones and barriers lie down or were moved: the site is no longer guarded."""
    return children__displaced__share >= max_share


@rule(
    type="site",
    title=Text("Chantier muet", "Site silent"),
    help_fr="La passerelle du chantier n'a pas parlé depuis trois de ses périodes.",
    priority=3,
    source=f"3 expected periods: {DEFAULT}",
    fires_on=({"overdue_periods": 3.5},),
    silent_on=({"overdue_periods": 1.5},),
)
def site_silent(overdue_periods: Column, *, max_periods: float = 3.0) -> Mask:
    """The gateway of the site has not spoken for three of its periods."""
    return overdue_periods > max_periods


SITE_COLUMNS = (takes_road, idle_working_h)
"""Derived columns."""
SITE_RULES = (
    site_overrun,
    works_without_order,
    order_without_works.clears(works_again),
    works_out_of_hours,
    works_noise,
    works_too_near,
    works_on_bus_route,
    works_on_snow_route,
    site_unguarded,
    site_silent,
)
