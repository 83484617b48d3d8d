-- fence_sessions
UPDATE satellite SET session = greatest(session + 1, %(floor)s)

-- set_incarnation
UPDATE deployment SET incarnation = %(incarnation)s
