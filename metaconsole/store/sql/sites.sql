-- create_site
INSERT INTO site (name, title) VALUES (%(name)s, %(title)s) ON CONFLICT (name) DO NOTHING

-- find_site
SELECT site_id FROM site WHERE name = %(name)s

-- create_satellite
INSERT INTO satellite (site_id, name) VALUES (%(site_id)s, %(name)s) ON CONFLICT (site_id, name) DO NOTHING

-- find_satellite
SELECT satellite_id FROM satellite WHERE site_id = %(site_id)s AND name = %(name)s

-- list_sites
SELECT site_id, name, title FROM site ORDER BY name
