# Copyright (c) SmarterCL. All rights reserved. See LICENSE.
"""Chatwoot's super admin and platform app, through its own Rails runner. Source: Chatwoot 3.13.0, 4.3.0, 4.14.0.

A fresh one lets the first visitor of /installation/onboarding become super admin.
"""

from __future__ import annotations

from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap import scripted
from ansible_collections.smartercl.smarteros.plugins.module_utils.bootstrap.shape import KEY_NAME, Room

PRODUCT = "Chatwoot"
RUNNER = ("bundle", "exec", "rails", "runner", "-")  # `-`: the script comes by stdin

SCRIPT = r"""
require 'base64'
require 'json'

wish = JSON.parse(Base64.decode64('@VALUES@'))
check = wish['check']
changes = []
said = {}
admin = SuperAdmin.find_by(email: wish['email'])

if admin.nil? && !SuperAdmin.exists?
  changes << ['create', 'super admin', nil, { email: wish['email'] }]
  unless check
    known = User.find_by(email: wish['email'])
    if known
      known.update!(type: 'SuperAdmin')
    else
      AccountBuilder.new(account_name: wish['account'], email: wish['email'], user_full_name: wish['name'],
                         user_password: wish['password'], super_admin: true, confirmed: true).perform
    end
    admin = SuperAdmin.find_by!(email: wish['email'])
  end
end

if admin && !admin.valid_password?(wish['password'])
  changes << ['update', 'password of the super admin', nil, nil]
  admin.update!(password: wish['password'], password_confirmation: wish['password']) unless check
end

if Redis::Alfred.get(Redis::Alfred::CHATWOOT_INSTALLATION_ONBOARDING)
  changes << ['delete', 'open set-up page', nil, nil]
  Redis::Alfred.delete(Redis::Alfred::CHATWOOT_INSTALLATION_ONBOARDING) unless check
end

app = PlatformApp.find_by(name: wish['app'])
if app.nil?
  changes << ['create', 'platform app', nil, { name: wish['app'] }]
  app = PlatformApp.create!(name: wish['app']) unless check
end
said[:token] = app.access_token.token if app

puts "\nSMARTEROS #{JSON.generate({ changes: changes }.merge(said))}"
"""


def secure(room: Room) -> None:
    """Run the script, and note what it did. Its answer always holds the platform token: this one can be read again."""
    params = room.params
    values = {
        "email": params["email"],
        "password": params["password"],
        "name": params["name"],
        "account": params["account"],
        "app": KEY_NAME,
        "check": room.check_mode,
    }
    said = scripted.say(room, RUNNER, SCRIPT, values, [params["password"]])
    for action, what, before, after in said["changes"]:
        room.outcome.change(action, what, before, after)
    if said.get("token"):
        room.outcome.facts["platform_token"] = said["token"]
